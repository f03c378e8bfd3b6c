"""What the camera of a clip does, from the background: still, turning and zooming, or travelling; and its path."""
