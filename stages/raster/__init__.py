"""Triangles to pixels: rasterisers behind one protocol, interpolation, normals."""
