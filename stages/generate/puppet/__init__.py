"""The embedded generator: a photo as a textured, skinned 2.5-D puppet (after Photo Wake-Up, Weng et al., CVPR 2019)."""
