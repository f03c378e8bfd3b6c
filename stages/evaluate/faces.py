"""Faces found and aligned for ArcFace: a similarity transform brings five points onto insightface's 112-pixel template.

Detection uses MediaPipe: both face detectors, then the face mesh on an enlarged crop. The five points are irises,
nose tip and mouth corners. insightface's own SCRFD may find other faces, so detection rates differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import cut, grown
from stages.detect.person_detections import find_faces
from stages.networks.face import find_mesh
from stages.networks.opened import Networks

Rgb = UInt8[np.ndarray, "height width 3"]

FIVE_POINTS = (468, 473, 1, 61, 291)
"""Numbers of mesh points: the irises (the one on the picture's left first), nose tip, mouth corners."""
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where the five points lie, pixels of 112 x 112, from insightface, `utils/face_align.py:arcface_src`."""
SIDE = 112
MARGIN, LEAST_PIXELS, MOST_PIXELS = 0.6, 256, 512
"""Margin around a face box, as a share of its longer side; and the least and largest side of the crop for the mesh."""
LEAST_SCORE = 0.5


@dataclass(frozen=True)
class Face:
    """One face: the mesh in pixels of the picture, and the aligned crop."""

    mesh: Float[np.ndarray, "478 3"]
    aligned: UInt8[np.ndarray, "112 112 3"]


def find_face(rgb: Rgb, networks: Networks) -> Face | None:
    """The largest face on which the face mesh is found; None if there is none."""
    boxes = [box for box, score in find_faces(rgb, networks) if score >= LEAST_SCORE]
    for box in sorted(boxes, key=lambda each: each[1] - each[3]):
        crop = cut(rgb, grown(box, MARGIN), MOST_PIXELS, LEAST_PIXELS)
        found = find_mesh(crop.rgb, networks)
        if found is not None:
            mesh = crop.to_source(found, scale_z=True)
            return Face(mesh, align(rgb, mesh[list(FIVE_POINTS), :2]))
    return None


def align(rgb: Rgb, points: Float[np.ndarray, "5 2"]) -> UInt8[np.ndarray, "112 112 3"]:
    """insightface's `norm_crop`: the picture transformed so that `points` (pixels) lie nearest to TEMPLATE."""
    import cv2

    return cv2.warpAffine(np.ascontiguousarray(rgb), similarity(points), (SIDE, SIDE), borderValue=(0, 0, 0))


def similarity(points: Float[np.ndarray, "5 2"]) -> Float[np.ndarray, "2 3"]:
    """Least-squares rotation, uniform scale and shift onto TEMPLATE (Umeyama 1991)."""
    centre, target = points.mean(0), TEMPLATE.mean(0)
    source, template = points.astype(np.float64) - centre, TEMPLATE - target
    u, sizes, vt = np.linalg.svd(template.T @ source)
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    linear = (u * sign) @ vt * ((sizes * sign).sum() / (source**2).sum())
    return np.column_stack([linear, target - linear @ centre])
