"""A reference and a condition map as the diffusion model's latents."""
