"""Cut videos into clips that are good enough for training (the paper's 4.1 and 0.B)."""
