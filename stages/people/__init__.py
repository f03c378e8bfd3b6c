"""Made-up people for training: drawn bodies with hair and clothes, moving, whose motion is known exactly."""
