"""Synthetic people for training: rendered bodies with hair and clothes whose motion is known exactly."""
