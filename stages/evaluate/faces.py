"""Faces found and aligned as ArcFace wants them: five points, a similarity onto insightface's 112-pixel template.

The detector is the one at hand, MediaPipe's: both face detectors, then the face mesh on an enlarged cut-out; irises,
nose tip and mouth corners are the five points. insightface's own SCRFD may find other faces: detection rates differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import cut, grown
from stages.detect.networks import Networks
from stages.detect.person_detections import find_faces

Rgb = UInt8[np.ndarray, "height width 3"]

FIVE_POINTS = (468, 473, 1, 61, 291)
"""Of the mesh: the irises (left in the picture first), nose tip, mouth corners."""
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""insightface, `utils/face_align.py:arcface_src`, pixels of 112 x 112."""
SIDE = 112
ROOM, LEAST_PIXELS, MOST_PIXELS = 0.6, 256, 512
"""Around a face box, in its longer side; and the cut-out's size for the mesh."""
SURE = 0.5


@dataclass(frozen=True)
class Face:
    """One face: the mesh in pixels of the picture, and its aligned cut-out."""

    mesh: Float[np.ndarray, "478 3"]
    aligned: UInt8[np.ndarray, "112 112 3"]


def find_face(rgb: Rgb, networks: Networks) -> Face | None:
    """The largest face, or None where there is none or the mesh does not hold."""
    boxes = [box for box, score in find_faces(rgb, networks) if score >= SURE]
    for box in sorted(boxes, key=lambda each: each[1] - each[3]):
        crop = cut(rgb, grown(box, ROOM), MOST_PIXELS, LEAST_PIXELS)
        found = networks.run("face_mesh", crop.rgb).multi_face_landmarks
        mesh = crop.points(found[0], "z") if found else None
        if mesh is not None:
            return Face(mesh, align(rgb, mesh[list(FIVE_POINTS), :2]))
    return None


def align(rgb: Rgb, points: Float[np.ndarray, "5 2"]) -> UInt8[np.ndarray, "112 112 3"]:
    """`norm_crop`: the picture under the similarity that brings `points` (pixel units) nearest to TEMPLATE."""
    import cv2

    return cv2.warpAffine(np.ascontiguousarray(rgb), similarity(points), (SIDE, SIDE), borderValue=(0, 0, 0))


def similarity(points: Float[np.ndarray, "5 2"]) -> Float[np.ndarray, "2 3"]:
    """Least-squares rotation, uniform scale and shift onto TEMPLATE (Umeyama 1991)."""
    centre, target = points.mean(0), TEMPLATE.mean(0)
    source, wanted = points.astype(np.float64) - centre, TEMPLATE - target
    u, sizes, vt = np.linalg.svd(wanted.T @ source)
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    linear = (u * sign) @ vt * ((sizes * sign).sum() / (source**2).sum())
    return np.column_stack([linear, target - linear @ centre])
