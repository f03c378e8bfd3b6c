"""The body model: body file, forward pass, camera, rotations, landmarks, and the code that makes (bakes) body files."""
