"""Training the diffusion model's adapter on encoded clips."""
