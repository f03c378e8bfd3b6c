"""Rectangles of the picture: cutting them out at a size the networks like, and planning one per frame of a clip.

Boxes are x0, y0, x1, y1 in pixels of the source. A crop stands still for as long as the person stays inside a box not
much larger than the person: the tracking network inside Holistic expects a camera that stands still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real, UInt8

from stages.detect.networks import points

Box = Real[np.ndarray, "4"]
"""x0, y0, x1, y1; whole pixels or parts of them."""


@dataclass(frozen=True)
class Crop:
    """A cut-out `rgb` and how to bring its landmarks home."""

    rgb: UInt8[np.ndarray, "height width 3"]
    box: Int[np.ndarray, "4"]

    def points(self, landmarks, third: str) -> Float[np.ndarray, "points 3"] | None:
        """Landmarks of `rgb` in pixels of the source picture."""
        width, height = self.box[2] - self.box[0], self.box[3] - self.box[1]
        rows = points(landmarks, float(width), float(height), third)
        if rows is not None:
            rows[:, :2] += self.box[:2]
        return rows


def cut(rgb: UInt8[np.ndarray, "height width 3"], box: Box, most: int, least: int = 0) -> Crop:
    """`box` of `rgb`, scaled so that its longer side lies between `least` and `most` pixels."""
    import cv2

    x0, y0, x1, y1 = whole = clip_box(box, rgb.shape[1], rgb.shape[0])
    part = rgb[y0:y1, x0:x1]
    longer = max(part.shape[:2])
    wanted = min(max(longer, least), most)
    if longer == 0 or wanted == longer:
        return Crop(np.ascontiguousarray(part), whole)
    scale = wanted / longer
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return Crop(cv2.resize(part, size, interpolation=how), whole)


def cut_square(
    rgb: UInt8[np.ndarray, "height width 3"], centre: Float[np.ndarray, "2"], side: float, pixels: int
) -> Crop:
    """A square around `centre`, scaled to `pixels`; beyond the picture its border is repeated."""
    import cv2

    x0, y0 = (int(low) for low in np.round(centre - side / 2))
    x1, y1 = x0 + round(side), y0 + round(side)
    height, width = rgb.shape[:2]
    part = rgb[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if part.size:
        top, bottom, left, right = max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0)
        part = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_REPLICATE)
        part = cv2.resize(part, (pixels, pixels), interpolation=cv2.INTER_AREA if side > pixels else cv2.INTER_CUBIC)
    return Crop(part, np.array([x0, y0, x1, y1]))


def clip_box(box: Box, width: int, height: int) -> Int[np.ndarray, "4"]:
    """Whole pixels inside the picture."""
    low = np.clip(np.floor(box[:2]), 0, (width, height))
    high = np.clip(np.ceil(box[2:]), low, (width, height))
    return np.concatenate([low, high]).astype(int)


def grown(box: Box, share: float) -> Box:
    """The box with `share` of its longer side added on every side."""
    margin = share * max(box[2] - box[0], box[3] - box[1])
    return np.asarray(box, float) + np.array([-margin, -margin, margin, margin])


def union(boxes: Float[np.ndarray, "boxes 4"]) -> Box:
    """The smallest box around all."""
    return np.concatenate([np.min(boxes[:, :2], 0), np.max(boxes[:, 2:], 0)])


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    both = float(np.prod(sides))
    total = float(np.prod(np.clip(a[2:] - a[:2], 0, None)) + np.prod(np.clip(b[2:] - b[:2], 0, None))) - both
    return both / total if total > 0 else 0.0


def contains(box: Box, point: Float[np.ndarray, "2"]) -> bool:
    """True when the point lies inside the box."""
    return bool(np.all(point > box[:2]) and np.all(point < box[2:]))


def around(rows: Float[np.ndarray, "points axes"]) -> Box:
    """The box around points."""
    return np.concatenate([rows[:, :2].min(0), rows[:, :2].max(0)]).astype(float)


def plan(
    frames: Int[np.ndarray, "sightings"],
    boxes: Float[np.ndarray, "sightings 4"],
    frame_count: int,
    looseness: float = 1.6,
) -> tuple[Int[np.ndarray, "frames"], Float[np.ndarray, "segments 4"]]:
    """Cut the clip into segments, each with one still crop, from boxes seen at some of its frames.

    A segment ends before its union would be more than `looseness` times as wide or high as the largest person box in it
    (a person who walks across the picture gets several crops; one who dances on the spot gets one).
    Returns the segment of every frame, and the crops.
    """
    starts, crops, first = [0], [], 0
    for i in range(1, len(frames)):
        sides = boxes[first : i + 1, 2:] - boxes[first : i + 1, :2]
        reach = union(boxes[first : i + 1])
        if np.any(reach[2:] - reach[:2] > looseness * sides.max(0)):
            crops.append(union(boxes[first:i]))
            starts.append(int(frames[i - 1] + frames[i] + 1) // 2)
            first = i
    crops.append(union(boxes[first:]))
    segment = np.searchsorted(np.array(starts), np.arange(frame_count), side="right") - 1
    return segment, np.array(crops)
