"""Cut videos into clips that are good enough for training (paper 4.1)."""
