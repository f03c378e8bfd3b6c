"""People in pictures: boxes, landmarks, mattes, and which of them to believe."""
