"""The diffusion model of EMOSH: Wan2.1-I2V's transformer with a motion embedding, and all that surrounds it.

Knows tensors and model folders; nothing of videos, motions or bodies.
"""
