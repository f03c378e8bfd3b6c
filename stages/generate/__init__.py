"""Draw the animated video: the backends `wan` and `puppet`, and the choice between them."""
