"""What a person looks like: the colours of face, hair, trunk and thighs, to tell people apart in one clip.

A look holds nine quantiles (10 to 90 %) of L, a and b of CIE Lab per part; a part that is not seen is NaN. The distance
of two looks is the mean difference of their quantiles, as a length in Lab, averaged over the parts that both have.
Measured on the dev clips, p1 to p9, f06, f07, f11 and the clips with 3-D truth: halves of one clip differ by at most
10.9 (d9, who turns his back), two photos of one man by 4.1; of 400 pairs of people 2 % differ by less than 10.7.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import Box, cut

QUANTILES = np.linspace(0.1, 0.9, 9)
WEIGHTS = np.array([1.0, 0.5, 1.0, 0.5])
"""Of face, hair, trunk and thighs in the distance of two looks. Hair and thighs are often background or covered."""
SAME_LOOK = 11.0
"""Largest distance of two looks of one person."""
FEW_PIXELS = 30
"""A part with fewer pixels is not seen."""
LARGEST_CROP = 128
"""Longer side of the picture of a person that is looked at, px."""
SEEN = 0.5
"""Least visibility of hip and knee of a thigh that is looked at."""

Look = Float[np.ndarray, "4 3 9"]


def look_of(
    rgb: UInt8[np.ndarray, "height width 3"],
    head: Float[np.ndarray, "2"],
    size: float,
    pose: Float[np.ndarray, "33 3"] | None,
) -> Look:
    """The look of the person with this centre of the head and head height, px. Without a pose the trunk is below."""
    import cv2

    strips = _strips(np.asarray(head, float), size, pose)
    ends = np.concatenate([strip[:2] for group in strips for strip in group])
    low, high = ends.min(0) - size, ends.max(0) + size
    crop = cut(rgb, np.concatenate([low, high]), LARGEST_CROP)
    if min(crop.rgb.shape[:2]) == 0:
        return np.full((len(strips), 3, len(QUANTILES)), np.nan, np.float32)
    lab = cv2.cvtColor(crop.rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    scale = lab.shape[1] / max(float(crop.box[2] - crop.box[0]), 1.0)
    return np.stack([_colours(lab, group, crop.box, scale) for group in strips])


def look_distance(one: Look, other: Look) -> float:
    """Mean difference of two looks over the parts that both have; NaN if there is none."""
    apart = np.sqrt((np.abs(one - other).mean(-1) ** 2).sum(-1))
    known = np.isfinite(apart)
    return float((WEIGHTS[known] * apart[known]).sum() / WEIGHTS[known].sum()) if known.any() else np.nan


def typical_look(looks: list[Look]) -> Look:
    """The median of several looks of one person, over those that have the part."""
    stacked = np.stack(looks)
    typical = np.full(stacked.shape[1:], np.nan, np.float32)
    for part in range(len(WEIGHTS)):
        seen = stacked[np.isfinite(stacked[:, part, 0, 0]), part]
        if len(seen):
            typical[part] = np.median(seen, 0)
    return typical


Strip = tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"], float]
"""Both ends of a strip and half its width, px."""


def _strips(head: np.ndarray, size: float, pose: np.ndarray | None) -> list[list[Strip]]:
    """The strips of face, hair, trunk and thighs."""
    if pose is None:
        up = np.array([0.0, -1.0])
        trunk, thighs = (head - 1.1 * size * up, head - 1.9 * size * up, 0.5 * size), []
    else:
        shoulders, hips = pose[11:13, :2].mean(0).astype(float), pose[23:25, :2].mean(0).astype(float)
        up = (head - shoulders) / max(float(np.linalg.norm(head - shoulders)), 1e-6)
        half = max(
            0.3 * float(np.linalg.norm(pose[11, :2] - pose[12, :2])), 0.12 * float(np.linalg.norm(hips - shoulders))
        )
        trunk = (shoulders + 0.15 * (hips - shoulders), shoulders + 0.55 * (hips - shoulders), half)
        thighs = [_thigh(pose[hip], pose[hip + 2]) for hip in (23, 24) if min(pose[[hip, hip + 2], 2]) > SEEN]
    face = (head - 0.35 * size * up, head + 0.35 * size * up, 0.3 * size)
    hair = (head + 0.45 * size * up, head + 0.8 * size * up, 0.3 * size)
    return [[face], [hair], [trunk], thighs]


def _thigh(hip: np.ndarray, knee: np.ndarray) -> Strip:
    along = (knee - hip)[:2].astype(float)
    return hip[:2] + 0.25 * along, hip[:2] + 0.85 * along, 0.1 * float(np.linalg.norm(along))


def _colours(lab: np.ndarray, strips: list[Strip], box: Box, scale: float) -> Float[np.ndarray, "3 9"]:
    """Quantiles of the pixels in the strips of one part."""
    import cv2

    inside = np.zeros(lab.shape[:2], np.uint8)
    for one, other, half in strips:
        along = (other - one) / max(float(np.linalg.norm(other - one)), 1e-6)
        aside = np.array([-along[1], along[0]]) * half
        corners = (np.array([one + aside, other + aside, other - aside, one - aside]) - box[:2]) * scale
        cv2.fillConvexPoly(inside, np.clip(np.round(corners), -(2**14), 2**14).astype(np.int32), (1,))
    pixels = lab[inside > 0]
    if len(pixels) < FEW_PIXELS:
        return np.full((3, len(QUANTILES)), np.nan, np.float32)
    return np.quantile(pixels, QUANTILES, axis=0).T.astype(np.float32)
