"""Other people in the photo, told by their faces: the segmentation network does not separate people."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from stages.detect.person_detections import find_faces
from stages.networks.opened import Networks

SURE_FACE = 0.65
"""Least score of another person's face. Of 29 photos 15 other faces had 0.67 or more; texture for a face had 0.58."""
OTHER_SIZE = 0.5
"""A face smaller than this share of the person's is far behind, or a picture on the wall."""
SHOULDERS, BODY = 1.1, 6.0
"""Half the width and the length of a body without its head, in heights of its face as the detector boxes it."""


def other_people(
    photo: UInt8[np.ndarray, "height width 3"],
    mesh: Bool[np.ndarray, "height width"],
    head: Bool[np.ndarray, "height width"],
) -> Bool[np.ndarray, "height width"]:
    """Pixels of `photo` nearer to another person than to the fitted body. mesh, head: pixels of it and of its head."""
    return shows_others(boxes_of_faces(photo), mesh, head)


def boxes_of_faces(photo: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "faces 4"]:
    """Boxes x0, y0, x1, y1 of all faces that are surely in the photo, pixels."""
    found = find_faces(np.ascontiguousarray(photo), Networks())
    return np.array([box for box, score in found if score > SURE_FACE]).reshape(-1, 4)


def shows_others(
    faces: Float[np.ndarray, "faces 4"], mesh: Bool[np.ndarray, "height width"], head: Bool[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """Pixels nearer to another person than to the fitted body.

    faces: boxes x0, y0, x1, y1 of all faces in the photo, in pixels. mesh, head: pixels of the fitted body and of its
    head. Of another person only the face is known; the body is a column below it, as wide as its shoulders.
    """
    others = np.zeros(mesh.shape, np.uint8)
    rows, columns = np.nonzero(head)
    if not len(rows):
        return others > 0
    own = np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)
    for x0, y0, x1, y1 in faces:
        x, y, size = (x0 + x1) / 2, (y0 + y1) / 2, y1 - y0
        inside = own[0] <= x <= own[2] and own[1] <= y <= own[3]
        at = int(np.clip(y, 0, mesh.shape[0] - 1)), int(np.clip(x, 0, mesh.shape[1] - 1))
        if inside or mesh[at] or size < OTHER_SIZE * (own[3] - own[1]) / 2:
            continue
        cv2.circle(others, (round(x), round(y - 0.1 * size)), round(0.8 * size), (1,), -1)
        corner = round(x - SHOULDERS * size), round(y + 0.9 * size)
        cv2.rectangle(others, corner, (round(x + SHOULDERS * size), round(y + BODY * size)), (1,), -1)
    if not others.any():
        return others > 0
    apart = [cv2.distanceTransform(1 - area, cv2.DIST_L2, 5) for area in (others, mesh.astype(np.uint8))]
    return np.asarray(apart[0] < apart[1])
