"""MediaPipe's detectors of people, faces and palms: boxes with key points, from a picture of any size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

from stages.networks.opened import Networks
from stages.networks.region import Region, whole

SAME_OBJECT = 0.3
"""Overlap (IoU) above which boxes are averaged into one."""


@dataclass(frozen=True)
class Detector:
    """A network: its file, the side of its input in px, and (cells per side, boxes per cell) of its layers."""

    network: str
    pixels: int
    layers: tuple[tuple[int, int], ...]


PEOPLE = Detector("pose_detection", 224, ((28, 2), (14, 2), (7, 6)))
NEAR_FACES = Detector("face_detection_near", 128, ((16, 2), (8, 6)))
FAR_FACES = Detector("face_detection_far", 192, ((48, 1),))
PALMS = Detector("palm_detection", 192, ((24, 2), (12, 6)))


@dataclass(frozen=True)
class Detection:
    """Box (x0, y0, x1, y1) and key points in px of the picture, and a score of 0..1."""

    box: Float[np.ndarray, "4"]
    points: Float[np.ndarray, "points 2"]
    score: float


def detect(
    rgb: UInt8[np.ndarray, "height width 3"],
    detector: Detector,
    networks: Networks,
    least: float,
    region: Region | None = None,
) -> list[Detection]:
    """What the detector finds in the picture, or in a region of it, with a score of at least `least`; best first."""
    region = whole(rgb) if region is None else region
    found = networks.run(detector.network, region.cut(rgb, detector.pixels, zero_outside=True))
    scores = 1 / (1 + np.exp(-np.clip(found["scores"][0, :, 0], -80, 80)))
    kept = scores >= least
    rows = (
        found["boxes"][0, kept].reshape(np.count_nonzero(kept), found["boxes"].shape[2] // 2, 2).astype(np.float64)
        / detector.pixels
    )
    middle = rows[:, :1] + anchors(detector)[kept, None]
    corners = np.concatenate([middle - rows[:, 1:2] / 2, middle + rows[:, 1:2] / 2], 1)
    points = np.concatenate([corners, rows[:, 2:] + anchors(detector)[kept, None]], 1)
    return [_in_picture(row, score, region) for row, score in merged(points, scores[kept])]


@cache
def anchors(detector: Detector) -> Float[np.ndarray, "boxes 2"]:
    """The middle of each box's cell, 0..1, in the order of the network's rows."""
    layers = []
    for cells, boxes in detector.layers:
        y, x = np.divmod(np.arange(cells * cells), cells)
        layers.append(np.repeat(np.stack([x, y], 1), boxes, axis=0) / cells + 0.5 / cells)
    return np.concatenate(layers)


def merged(
    rows: Float[np.ndarray, "boxes points 2"], scores: Float[np.ndarray, "boxes"]
) -> list[tuple[Float[np.ndarray, "points 2"], float]]:
    """Weighted non-maximum suppression (BlazeFace, arXiv 1907.05047): boxes that overlap the best one more than
    `SAME_OBJECT` are averaged with it by their scores. The first two points of a row are the box's corners."""
    found, left = [], np.argsort(-scores, kind="stable")
    while len(left):
        alike = _overlaps(rows[left, 0], rows[left, 1], rows[left[0], 0], rows[left[0], 1]) > SAME_OBJECT
        alike[0] = True
        weights = scores[left[alike]]
        found.append((np.tensordot(weights / weights.sum(), rows[left[alike]], 1), float(scores[left[0]])))
        left = left[~alike]
    return found


def _overlaps(low: np.ndarray, high: np.ndarray, own_low: np.ndarray, own_high: np.ndarray) -> np.ndarray:
    both = np.clip(np.minimum(high, own_high) - np.maximum(low, own_low), 0, None).prod(1)
    return both / np.maximum((high - low).prod(1) + (own_high - own_low).prod() - both, 1e-12)


def _in_picture(row: np.ndarray, score: float, region: Region) -> Detection:
    """A row of the region's 0..1, in the picture. The box is the upright box around the turned one."""
    (x0, y0), (x1, y1) = row[:2]
    corners = region.to_picture(np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]))
    box = np.concatenate([corners.min(0), corners.max(0)])
    return Detection(box, region.to_picture(row[2:]), score)
