"""A video or a photo as a motion: one joint fit of body, hands, face and camera."""
