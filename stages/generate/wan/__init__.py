"""The wan backend: draw a video from latents, one chunk after another."""
