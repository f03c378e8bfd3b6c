"""A posed body as a picture: mesh, skeleton, openpose, depth, normal, shaded; and the face on its own."""
