"""Steps after rasterising: vertex values at pixels, averaged over supersamples, and vertex normals for lighting."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from stages.compiled import njit
from stages.raster.rasterizer import Fragments


def interpolate(
    fragments: Fragments, faces: Int[np.ndarray, "faces 3"], attributes: Float[np.ndarray, "vertices channels"]
) -> Float[np.ndarray, "height width channels"]:
    """Vertex attributes at every pixel; zeros where there is no triangle."""
    return interpolate_averaged(fragments, faces, attributes, 1)


def interpolate_averaged(
    fragments: Fragments,
    faces: Int[np.ndarray, "faces 3"],
    attributes: Float[np.ndarray, "vertices channels"],
    factor: int,
) -> Float[np.ndarray, "height width channels"]:
    """Vertex attributes averaged over `factor` x `factor` pixels; pixels without a triangle count as zero."""
    height, width = fragments.face.shape
    assert height % factor == 0
    assert width % factor == 0
    out = np.zeros((height // factor, width // factor, attributes.shape[1]), np.float32)
    _interpolate(
        fragments.face, fragments.barycentric, faces, np.ascontiguousarray(attributes, np.float32), factor, out
    )
    return out


@njit(error_model="numpy")
def _interpolate(face, barycentric, faces, attributes, factor, out):
    channels = attributes.shape[1]
    share = np.float32(1.0 / (factor * factor))
    for y in range(face.shape[0]):
        for x in range(face.shape[1]):
            row = face[y, x]
            if row < 0:
                continue
            for corner in range(3):
                weight = barycentric[y, x, corner] * share
                vertex = faces[row, corner]
                for channel in range(channels):
                    out[y // factor, x // factor, channel] += weight * attributes[vertex, channel]


def vertex_normals(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Unit vertex normals, weighted by triangle area; they point outwards for counter-clockwise triangles."""
    normals = np.zeros(vertices.shape, np.float32)
    _normals(np.ascontiguousarray(vertices, np.float32), faces, normals)
    return normals


@njit(error_model="numpy")
def _normals(vertices, faces, normals):
    for row in range(faces.shape[0]):
        a, b, c = faces[row, 0], faces[row, 1], faces[row, 2]
        ux, uy, uz = (vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2])
        vx, vy, vz = (vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2])
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for vertex in (a, b, c):
            normals[vertex, 0] += nx
            normals[vertex, 1] += ny
            normals[vertex, 2] += nz
    for row in range(normals.shape[0]):
        length = np.sqrt(normals[row, 0] ** 2 + normals[row, 1] ** 2 + normals[row, 2] ** 2)
        if length > 0:
            normals[row] /= length
