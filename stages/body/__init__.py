"""The expressive body: its file, forward pass, camera, rotations and landmarks, and the baker that makes the file."""
