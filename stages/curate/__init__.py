"""Videos become clips worth training on (the paper's 4.1 and 0.B)."""
