"""Track a person in a video or a photo: one joint fit of body, hands, face and camera, written as a motion."""
