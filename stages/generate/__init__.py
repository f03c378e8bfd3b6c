"""The animated video: the backends that draw it."""
