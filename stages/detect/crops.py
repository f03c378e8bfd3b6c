"""Crops of the picture: cut a box out at a size for the networks, and plan one crop per frame of a clip.

Boxes are x0, y0, x1, y1 in pixels of the source. A crop does not move as long as the person stays inside a box not
much larger than the person: the tracking network inside Holistic expects a fixed camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real, UInt8

Box = Real[np.ndarray, "4"]
"""x0, y0, x1, y1 in pixels, integer or fractional."""
LARGEST_UNION = 1.6
"""Largest size of the crop of a segment, relative to the largest person box in it."""


@dataclass(frozen=True)
class Crop:
    """A part `rgb` of a picture, and its box, which maps points back to the picture."""

    rgb: UInt8[np.ndarray, "height width 3"]
    box: Int[np.ndarray, "4"]

    def to_source(self, rows: Float[np.ndarray, "points axes"], scale_z: bool = False) -> np.ndarray:
        """Points in pixels of `rgb`, in pixels of the source picture; a third axis is scaled like x if it is depth."""
        height, width = self.rgb.shape[:2]
        scale = (self.box[2:] - self.box[:2]) / (width, height)
        rows = np.array(rows, np.float32)
        rows[:, :2] = rows[:, :2] * scale + self.box[:2]
        if scale_z:
            rows[:, 2] *= scale[0]
        return rows


def cut(rgb: UInt8[np.ndarray, "height width 3"], box: Box, most: int, least: int = 0) -> Crop:
    """`box` of `rgb`, scaled so that its longer side lies between `least` and `most` pixels."""
    import cv2

    x0, y0, x1, y1 = whole = clip_box(box, rgb.shape[1], rgb.shape[0])
    part = rgb[y0:y1, x0:x1]
    longer = max(part.shape[:2])
    target = min(max(longer, least), most)
    if longer == 0 or target == longer:
        return Crop(np.ascontiguousarray(part), whole)
    scale = target / longer
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return Crop(cv2.resize(part, size, interpolation=how), whole)


def cut_square(
    rgb: UInt8[np.ndarray, "height width 3"], centre: Float[np.ndarray, "2"], side: float, pixels: int
) -> Crop:
    """A square around `centre`, scaled to `pixels`. Outside the picture its border pixels are repeated."""
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
    """The box rounded outwards to whole pixels and clipped to the picture."""
    low = np.clip(np.floor(box[:2]), 0, (width, height))
    high = np.clip(np.ceil(box[2:]), low, (width, height))
    return np.concatenate([low, high]).astype(int)


def grown(box: Box, share: float) -> Box:
    """The box with `share` of its longer side added on every side."""
    margin = share * max(box[2] - box[0], box[3] - box[1])
    return np.asarray(box, float) + np.array([-margin, -margin, margin, margin])


def union_box(boxes: Float[np.ndarray, "boxes 4"]) -> Box:
    """The smallest box around all boxes."""
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


def bounding_box(rows: Float[np.ndarray, "points axes"]) -> Box:
    """The smallest box around the points."""
    return np.concatenate([rows[:, :2].min(0), rows[:, :2].max(0)]).astype(float)


def plan_crops(
    frames: Int[np.ndarray, "detections"],
    boxes: Float[np.ndarray, "detections 4"],
    frame_count: int,
) -> tuple[Int[np.ndarray, "frames"], Float[np.ndarray, "segments 4"]]:
    """Cut the clip into segments, each with one fixed crop, from the person boxes of some of its frames.

    A segment ends before the union of its boxes would be more than `LARGEST_UNION` times as wide or high as the largest
    box in it. A person who walks across the picture gets several crops, one who dances on the spot gets one.
    Returns the segment of every frame, and the crops.
    """
    starts, crops, first = [0], [], 0
    for i in range(1, len(frames)):
        sides = boxes[first : i + 1, 2:] - boxes[first : i + 1, :2]
        reach = union_box(boxes[first : i + 1])
        if np.any(reach[2:] - reach[:2] > LARGEST_UNION * sides.max(0)):
            crops.append(union_box(boxes[first:i]))
            starts.append(int(frames[i - 1] + frames[i] + 1) // 2)
            first = i
    crops.append(union_box(boxes[first:]))
    segment = np.searchsorted(np.array(starts), np.arange(frame_count), side="right") - 1
    return segment, np.array(crops)
