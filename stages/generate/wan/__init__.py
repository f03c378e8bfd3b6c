"""The wan backend: latents become a video, chunk after chunk."""
