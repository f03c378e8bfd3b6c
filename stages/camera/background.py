"""The background of a clip as it was followed in its lanes, joined to one list of segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from stages.camera.follow import Follower, Segment

SAME_POINT_PX = 1.5
"""Largest distance of two lanes' points that are the same one, small px."""


@dataclass(frozen=True)
class Background:
    """Segments in order of their key frames (`stages.camera.follow`), and the small px per px of the source."""

    segments: tuple[Segment, ...]
    scale: float


def joined(lanes: Sequence[Follower]) -> Background:
    """The segments of lanes of which each begins some frames before the lane before it ends.

    What a lane began after the next lane's first key frame is left out: the next lane has it too.
    """
    scale = lanes[0].scale
    segments: list[Segment] = []
    for lane in lanes:
        own = list(lane.segments)
        if own and segments:
            segments = [each for each in segments if each.key < own[0].key]
            if segments and own[0].key in segments[-1].frames:
                own[0] = replace(own[0], before=_same_points(segments[-1], own[0], scale))
        segments += own
    return Background(tuple(segments), scale)


def _same_points(before: Segment, after: Segment, scale: float) -> Int[np.ndarray, "points"]:
    """Of each point of a key frame, the point of an earlier segment at the same place of its picture, or -1."""
    row = before.frames.index(after.key)
    found: Int[np.ndarray, "found"] = before.found[row]
    places: Float[np.ndarray, "found 2"] = before.places[row]
    same = np.full(len(after.points), -1)
    if not len(found) or not len(same):
        return same
    apart = np.linalg.norm(after.points[:, None] - places, axis=-1)
    nearest = apart.argmin(1)
    near = apart[np.arange(len(same)), nearest] < SAME_POINT_PX / scale
    same[near] = found[nearest[near]]
    return same
