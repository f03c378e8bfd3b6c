"""What other trackers say of the same clip, in our joints and our camera frame."""
