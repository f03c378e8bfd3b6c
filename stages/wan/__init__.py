"""The diffusion model of EMOSH: Wan2.1-I2V's transformer with a motion embedding, its VAE and encoders, loading,
adapters and memory plan.

Knows tensors and model folders, but no videos, motions or bodies.
"""
