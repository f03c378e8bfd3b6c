"""What the camera of one shot does, and its path: still, turning and zooming, travelling, or not to be told.

The simplest answer that explains the points is taken: a camera that does not move, then one that turns and zooms, then
one that travels. Frame: OpenCV axes of the shot's first camera. A travelling camera's path has a unit of its own, which
only the person can turn into metres (`stages.camera.world`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from jaxtyping import Float

from stages.artifacts.world import STILL, TRAVELLING, TURNING, UNKNOWN
from stages.camera.follow import LEAST_POINTS, Segment, looked_up
from stages.camera.travel import Piece, travel_of_segment, usual_off
from stages.camera.turns import Turns, segment_turns, shot_turns

STILL_SHARE = 0.0025
"""A camera whose picture shifts by less than this share of its longer side stands still: 1.6 px of 640. The clips d1 to
d9 and those with 3-D truth, whose cameras stand, have up to 0.0011."""
STILL_ZOOM = 0.008
"""The same for the focal length."""
STANDS, STANDS_RATIO = 0.98, 1.3
"""A camera stands still too where, in this share of the frames, points lie at most this many times farther from where
they were than from where a turning camera would have them: those of a compressed webcam wander by 2 px of 400."""
PARALLAX_PX, PARALLAX_RATIO = 0.3, 2.2
"""A camera travels where a turning one leaves points this far off (small px, `usual_off`) and this many times farther
than one that travels. Rendered pans leave 0.1 to 0.23 px and 1.1 to 1.9 times as much (`benchmarks.camera_truth`)."""
ZOOM_RATIO = 1.5
"""A travelling camera zooms too where a fixed focal length leaves points PARALLAX_PX off, and this times farther."""
MEASURED = 0.8
"""Least share of frames in which the background is seen."""
UNFIT_PX = 3.0
"""A path that leaves points farther off than this, small px, is none."""
SOFT_PX, MOST_GREY = 2.0, 10.0
"""A background without good corners is compared after a blur of this size, small px; larger differences count as this
many grey levels."""
SHIFTS = ((0, 0), *((sign * x, sign * y) for x, y in ((6, 0), (0, 6), (12, 0), (0, 12)) for sign in (-1, 1)))
MOST_COMPARED, STAYS_SHARE, STAYS_RATIO = 9, 0.7, 0.85
"""Key frames that are compared, the share of them that must fit best without a shift, and the largest mean difference
without a shift against those with one."""


@dataclass(frozen=True)
class CameraPath:
    """The camera of each frame of a shot: x_first = R x_frame + place."""

    kind: str
    R: Float[np.ndarray, "frames 3 3"]
    place: Float[np.ndarray, "frames 3"]
    """In a unit of its own; zero unless the camera travels."""
    zoom: Float[np.ndarray, "frames"]
    """Focal length against that of the first frame."""
    focal_px: float
    """The focal length that was taken for the first frame."""

    @staticmethod
    def standing(frames: int, kind: str, focal_px: float) -> CameraPath:
        """A camera that does not move, or of which nothing is known."""
        return CameraPath(kind, np.tile(np.eye(3), (frames, 1, 1)), np.zeros((frames, 3)), np.ones(frames), focal_px)


def camera_path(
    segments: Sequence[Segment], first: int, frames: int, size: tuple[int, int], scale: float, focal_px: float,
    travels: bool = True,
) -> CameraPath:  # fmt: skip
    """The camera of the shot that begins at frame `first`. size: width, height, px. scale: small px per px. focal_px is
    that of the first frame. Without `travels`, a camera that moves is taken for one that turns."""
    if frames == 1:
        return CameraPath.standing(frames, STILL, focal_px)
    own = [each for each in segments if first <= each.key < first + frames]
    middle = np.array(size) / 2
    if not own or any(each.is_weak for each in own):
        kind = STILL if own and _stays(own) else UNKNOWN
        return CameraPath.standing(frames, kind, focal_px)
    turns = shot_turns(own, first, frames, middle, focal_px, scale)
    seen = np.isfinite(turns.off_px)
    if seen.mean() < MEASURED:
        return CameraPath.standing(frames, UNKNOWN, focal_px)
    steady = bool(np.abs(np.log(turns.zoom[seen])).max() < STILL_ZOOM)
    least = STILL_SHARE * max(size)
    if (steady and _shift_px(turns, middle, focal_px)[seen].max() < least) or _stands(own, turns, first, least, scale):
        return CameraPath.standing(frames, STILL, focal_px)
    off = usual_off(turns.off_px[seen].tolist()) * scale
    if off > PARALLAX_PX and travels:
        pieces = _pieces(own, middle, focal_px, scale)
        if pieces is not None and _has_parallax(pieces, scale):
            return _travelled(own, pieces, first, frames, focal_px)
    if off > UNFIT_PX and travels:
        return CameraPath.standing(frames, UNKNOWN, focal_px)
    if steady:
        turns = shot_turns(own, first, frames, middle, focal_px, scale, zooms=False)
    return CameraPath(
        TURNING, turns.R.swapaxes(-1, -2), np.zeros((frames, 3)), np.ones(frames) if steady else turns.zoom, focal_px
    )


def _shift_px(turns: Turns, middle: Float[np.ndarray, "2"], focal_px: float) -> Float[np.ndarray, "frames"]:
    """How far the turns move the picture's middle and its edges, px."""
    rays = np.array([[0, 0, 1], [0, -middle[1] / focal_px, 1], [middle[0] / focal_px, 0, 1]])
    turned = np.einsum("tij,pj->tpi", turns.R, rays)
    moved = focal_px * (turned[..., :2] / np.maximum(turned[..., 2:], 0.1) - rays[:, :2])
    return np.median(np.linalg.norm(moved, axis=-1), 1)


def _stands(segments: Sequence[Segment], turns: Turns, first: int, least_px: float, scale: float) -> bool:
    """Whether points lie where they were, in the frames of each segment and in the later key frames, see STANDS.

    The error of turns that are put together from key frame to key frame grows; the places of the first key frame's
    points in a later one's picture do not drift.
    """
    near = []
    for segment in segments:
        for row, found, places in zip(segment.frames, segment.found, segment.places, strict=True):
            if len(found) >= LEAST_POINTS:
                most = max(least_px, STANDS_RATIO * float(turns.off_px[row - first]))
                near.append(_median_shift(segment.points[found], places) < most)
    if np.mean(near) < STANDS:
        return False
    if len(segments) == 1:
        return True
    shifts = []
    for late in segments[1:]:
        if segments[0].picture is not None and late.picture is not None:
            every = np.arange(len(segments[0].points))
            good, places = looked_up(segments[0], late, every, segments[0].points, scale)
            if good.sum() >= 4 * LEAST_POINTS:
                shifts.append(_median_shift(segments[0].points[good], places[good]))
    return bool(shifts) and bool(np.median(shifts) < least_px)


def _median_shift(before: Float[np.ndarray, "points 2"], after: Float[np.ndarray, "points 2"]) -> float:
    return float(np.median(np.linalg.norm(after - before, axis=1)))


def _pieces(
    segments: Sequence[Segment], middle: Float[np.ndarray, "2"], focal_px: float, scale: float
) -> list[Piece] | None:
    """Every segment of a shot as one of a travelling camera, all in one unit; None where one cannot be solved. The
    camera zooms where points fit much better so."""
    fixed = _solved(segments, middle, focal_px, scale, False)
    if fixed is None or _worst_px(fixed) * scale < PARALLAX_PX:
        return fixed
    zooming = _solved(segments, middle, focal_px, scale, True)
    return fixed if zooming is None or ZOOM_RATIO * _worst_px(zooming) > _worst_px(fixed) else zooming


def _worst_px(pieces: list[Piece]) -> float:
    return max(each.off_px for each in pieces)


def _solved(
    segments: Sequence[Segment], middle: Float[np.ndarray, "2"], focal_px: float, scale: float, zooms: bool
) -> list[Piece] | None:
    """See `_pieces`."""
    pieces: list[Piece] = []
    carried = None
    for number, segment in enumerate(segments):
        if number:
            carried = _carried(segments[number - 1], pieces[-1], segment, middle, focal_px)
            focal_px *= _zoom_at(segments[number - 1], pieces[-1], segment.key)
        turns = segment_turns(segment, middle, focal_px, scale)
        piece = travel_of_segment(segment, turns, middle, focal_px, scale, carried, zooms)
        if piece is None:
            return None
        pieces.append(piece)
    return pieces


def _zoom_at(segment: Segment, piece: Piece, frame: int) -> float:
    """Focal length at one of the segment's frames, against that of its key frame."""
    return float(piece.zoom[segment.frames.index(frame)]) if frame in segment.frames else 1.0


def _carried(
    before: Segment, piece: Piece, segment: Segment, middle: Float[np.ndarray, "2"], focal_px: float
) -> Float[np.ndarray, "points"]:
    """Inverse depths of a segment's points that the segment before knows, in its unit; NaN for the others."""
    inverse, shared = np.full(len(segment.points), np.nan), np.flatnonzero(segment.before >= 0)
    if segment.key not in before.frames:
        return inverse
    row, same = before.frames.index(segment.key), segment.before[shared]
    places = before.points[same]
    rays = np.concatenate([(places - middle) / focal_px, np.ones((len(places), 1))], 1)
    depth = (rays @ piece.R[row].T)[:, 2] / piece.inverse[same] + piece.t[row, 2]
    good = piece.known[same] & (depth > 0)
    inverse[shared] = np.where(good, 1 / np.where(good, depth, 1), np.nan)
    return inverse


def _has_parallax(pieces: list[Piece], scale: float) -> bool:
    """Whether some segment can only be explained by a camera that travels."""
    return any(
        each.turn_off_px * scale > PARALLAX_PX
        and each.turn_off_px > PARALLAX_RATIO * each.off_px
        and each.off_px * scale < UNFIT_PX
        for each in pieces
    )


def _travelled(
    segments: Sequence[Segment], pieces: list[Piece], first: int, frames: int, focal_px: float
) -> CameraPath:
    """The segments' frames one after another, in the first camera's frame."""
    R, place, zoom = np.tile(np.eye(3), (frames, 1, 1)), np.zeros((frames, 3)), np.ones(frames)
    key_R, key_place, key_zoom = np.eye(3), np.zeros(3), 1.0
    for number, (segment, piece) in enumerate(zip(segments, pieces, strict=True)):
        for row, turned, moved, grown in zip(segment.frames, piece.R, piece.t, piece.zoom, strict=True):
            R[row - first] = key_R @ turned.T
            place[row - first] = key_place - key_R @ turned.T @ moved
            zoom[row - first] = key_zoom * grown
        if number + 1 < len(segments):
            at = segments[number + 1].key - first
            key_R, key_place, key_zoom = R[at], place[at], float(zoom[at])
    return CameraPath(TRAVELLING, R, place, zoom, focal_px)


def _stays(segments: Sequence[Segment]) -> bool:
    """Whether a background without good corners fits best where it was: soft shades of a wall do. Of each key frame and
    the first or the last one, the difference without a shift is compared with those after shifts of some px."""
    import cv2

    kept = [each for each in segments if each.picture is not None and each.free is not None]
    if len(kept) < 2:
        return False
    some = [kept[at] for at in np.unique(np.linspace(0, len(kept) - 1, MOST_COMPARED).round().astype(int))]
    tables = [
        np.array([_differences(one, each, cv2) for each in some if each is not one]) for one in (some[0], some[-1])
    ]
    differences = min(tables, key=lambda table: table[:, 0].mean())
    stays = differences[:, 0] <= differences[:, 1:].min(1)
    return bool(stays.mean() > STAYS_SHARE and differences[:, 0].mean() < STAYS_RATIO * differences[:, 1:].mean())


def _differences(first: Segment, later: Segment, cv2: ModuleType) -> list[float]:
    """Mean difference of two soft pictures, grey levels, for each of SHIFTS of the later one."""
    before, after, *masks = first.picture, later.picture, first.free, later.free
    assert before is not None
    assert after is not None
    before, after = (cv2.GaussianBlur(each.astype(np.float32), (0, 0), SOFT_PX) for each in (before, after))
    here, there = (np.asarray(each) > 0 for each in masks)
    found = []
    for x, y in SHIFTS:
        shifted, free = (np.roll(each, (y, x), (0, 1)) for each in (after, there))
        both = here & free
        off = (before - shifted)[both]
        found.append(float(np.minimum(np.abs(off - np.median(off)), MOST_GREY).mean()) if len(off) else np.inf)
    return found
