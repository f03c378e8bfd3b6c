"""The focal length of a camera that turns, from its background alone.

A turn moves points at the picture's edge farther than those in its middle; how much farther depends on the focal
length (Szeliski and Shum 1997). So each segment's widest turns are fitted with several focal lengths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from stages.artifacts.world import TURNING
from stages.body.rotations import rotvec_from_matrix
from stages.camera.background import Background
from stages.camera.follow import Segment
from stages.camera.path import camera_path
from stages.camera.turns import Turn, fit_turn, segment_turns, shot_turns

RATIOS = tuple(float(each) for each in np.geomspace(0.4, 2.4, 19))
"""Focal lengths that are tried, in diagonals of the picture."""
FINE = np.linspace(-0.06, 0.06, 13)
"""Logarithms that are tried around the best of them."""
GUESS = 0.75
"""The focal length with which the path is found first, in diagonals."""
TURNS_OF_A_SEGMENT = 3
POINTS_OF_EVIDENCE = 40.0
"""The mean loss of a segment's points counts like that of this many independent points. Chosen here."""
LEAST_DEGREES = 3.0
"""Smaller turns are not asked: what a lens distorts would be taken for the focal length."""
WRONG_BY, LEAST_EVIDENCE = 0.15, 4.0
"""A focal length is believed if one that is wrong by this share is this much worse."""


def turned_focal(background: Background | None, frames: slice, size: tuple[int, int]) -> float | None:
    """Focal length of a shot in px, of a zooming camera the geometric mean; None unless the camera turns far enough."""
    if background is None or frames.stop - frames.start < 2:
        return None
    first, count, scale = frames.start, frames.stop - frames.start, background.scale
    diagonal, middle = float(np.hypot(*size)), np.array(size) / 2
    own = [each for each in background.segments if frames.start <= each.key < frames.stop]
    guess = GUESS * diagonal
    if camera_path(own, first, count, size, scale, guess, travels=False).kind != TURNING:
        return None
    zoom = shot_turns(own, first, count, middle, guess, scale).zoom
    chosen = _widest(own, middle, guess, scale)

    def losses(logarithms: Float[np.ndarray, "tried"]) -> Float[np.ndarray, "tried"]:
        return np.array([_loss(chosen, zoom, first, middle, float(np.exp(each)), scale) for each in logarithms])

    tried = np.log(np.array(RATIOS) * diagonal)
    near = sure_minimum(tried, losses(tried))
    if near is None:
        return None
    tried = near + FINE
    focal_px = float(np.exp(tried[losses(tried).argmin()]))
    path = camera_path(own, first, count, size, scale, focal_px)
    widest = np.linalg.norm(rotvec_from_matrix(path.R[0].T @ path.R), axis=1).max()
    if widest < np.radians(LEAST_DEGREES):
        return None
    return focal_px * float(np.exp(np.log(path.zoom).mean())) if path.kind == TURNING else None


def sure_minimum(places: Float[np.ndarray, "tried"], losses: Float[np.ndarray, "tried"]) -> float | None:
    """Where a parabola through the least loss and its neighbours is lowest; None at an end, or if it is too flat."""
    at = int(losses.argmin())
    if at in (0, len(losses) - 1):
        return None
    a, b, _ = np.polyfit(places[at - 1 : at + 2] - places[at], losses[at - 1 : at + 2], 2)
    lowest = float(places[at] - b / (2 * a))
    worse = np.interp([lowest - WRONG_BY, lowest + WRONG_BY], places, losses) - losses[at]
    return lowest if worse.min() > LEAST_EVIDENCE else None


def _widest(
    segments: Sequence[Segment], middle: Float[np.ndarray, "2"], focal_px: float, scale: float
) -> list[tuple[Segment, list[int]]]:
    """Of each segment, the frames that are turned farthest from the key frame."""
    chosen = []
    for segment in segments:
        turns = segment_turns(segment, middle, focal_px, scale)
        angles = np.array([
            np.linalg.norm(rotvec_from_matrix(turn.R)) if np.isfinite(turn.off_px) else -1.0 for turn in turns
        ])  # fmt: skip
        rows = [int(row) for row in np.argsort(-angles)[:TURNS_OF_A_SEGMENT] if angles[row] > 0]
        chosen.append((segment, rows))
    return chosen


def _loss(
    chosen: list[tuple[Segment, list[int]]], zoom: Float[np.ndarray, "frames"], first: int,
    middle: Float[np.ndarray, "2"], focal_px: float, scale: float,
) -> float:  # fmt: skip
    total = 0.0
    for segment, rows in chosen:
        focal = focal_px * float(zoom[segment.key - first])
        turns: list[Turn] = [
            fit_turn(segment.points[segment.found[row]] - middle, segment.places[row] - middle, focal, scale)
            for row in rows
        ]
        total += POINTS_OF_EVIDENCE * float(np.mean([turn.loss for turn in turns])) if turns else 0.0
    return total
