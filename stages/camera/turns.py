"""The rotation and the zoom of every frame's camera, from points that are taken to be far away.

A point x of a key frame, px from the picture's middle, is seen in another frame at z f (R r) / (R r)_z with the ray
r = (x / f, 1). R and z are fitted to each frame with a robust loss (Cauchy), then the key frames are brought together:
each is compared with the next one and with those that show the same place (`stages.camera.follow`), so that the error
does not grow with the number of frames where the camera comes back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.camera.follow import LEAST_POINTS, Segment, looked_up

ITERATIONS, ENOUGH = 15, 1e-7
NOISE_PX = 0.15
"""Least scale of the loss, px of the small picture."""
OVERLAP = 0.5
"""Key frames are compared where at least this share of the points is expected in the other picture."""
MOST_LINKS = 4
"""Comparisons of one key frame with earlier ones, the earliest first."""


@dataclass(frozen=True)
class Turn:
    """One frame against a key frame: x_frame ~ R x_key, focal length times `zoom`."""

    R: Float[np.ndarray, "3 3"]
    zoom: float
    off_px: float
    """Median distance of the points from where the fit expects them, px; inf where nothing was measured."""
    loss: float = np.inf
    """Mean Cauchy loss of the points, its width being three times the noise."""

    @staticmethod
    def unknown() -> Turn:
        """Not measured."""
        return Turn(np.eye(3), 1.0, np.inf)


@dataclass(frozen=True)
class Turns:
    """The frames of one shot: x_frame ~ R x_first, focal length times `zoom`, relative to the first frame."""

    R: Float[np.ndarray, "frames 3 3"]
    zoom: Float[np.ndarray, "frames"]
    off_px: Float[np.ndarray, "frames"]
    """See `Turn`."""


def fit_turn(
    before: Float[np.ndarray, "points 2"], after: Float[np.ndarray, "points 2"], focal_px: float, scale: float,
    start: Turn | None = None, zooms: bool = True,
) -> Turn:  # fmt: skip
    """R and zoom from points relative to the picture's middle, px. scale: small px per px; `start` is optional."""
    if len(before) < LEAST_POINTS:
        return Turn.unknown()
    R, log_zoom = (np.eye(3), 0.0) if start is None else (start.R, float(np.log(start.zoom)))
    rays = np.concatenate([before / focal_px, np.ones((len(before), 1))], 1)
    least, apart = NOISE_PX / scale, np.full(len(before), np.inf)
    for _ in range(ITERATIONS):
        turned = rays @ R.T
        depth = np.maximum(turned[:, 2], 0.1)
        slope = focal_px * np.exp(log_zoom) / depth
        expected = slope[:, None] * turned[:, :2]
        off = after - expected
        apart = np.linalg.norm(off, axis=1)
        width = max(least, 1.5 * float(np.median(apart)))
        weight = 1 / (1 + (apart / width) ** 2)
        x, y = turned[:, 0] / depth, turned[:, 1] / depth
        gain = focal_px * np.exp(log_zoom)
        J = np.zeros((len(before), 2, 4))
        J[:, 0] = gain * np.stack([-x * y, 1 + x * x, -y, x], -1)
        J[:, 1] = gain * np.stack([-1 - y * y, x * y, x, y], -1)
        J[..., 3] *= zooms
        flat, weights = J.reshape(-1, 4), weight.repeat(2)
        H = (flat * weights[:, None]).T @ flat + np.diag([1e-9, 1e-9, 1e-9, 1e-3])
        step = np.linalg.solve(H, flat.T @ (weights * off.ravel()))
        R, log_zoom = matrix_from_rotvec(step[:3]) @ R, log_zoom + float(step[3])
        if np.abs(step).max() < ENOUGH:
            break
    loss = np.log1p((apart / (3 * least)) ** 2).mean()
    return Turn(R, float(np.exp(log_zoom)), float(np.median(apart)), float(loss))


def segment_turns(
    segment: Segment, middle: Float[np.ndarray, "2"], focal_px: float, scale: float, zooms: bool = True
) -> list[Turn]:
    """Every frame of a segment against its key frame."""
    turns: list[Turn] = []
    for found, places in zip(segment.found, segment.places, strict=True):
        start = turns[-1] if turns and np.isfinite(turns[-1].off_px) else None
        turns.append(fit_turn(segment.points[found] - middle, places - middle, focal_px, scale, start, zooms))
    return turns


def shot_turns(
    segments: list[Segment], first: int, frames: int, middle: Float[np.ndarray, "2"], focal_px: float, scale: float,
    zooms: bool = True,
) -> Turns:  # fmt: skip
    """The frames `first` to `first + frames` of one shot, whose segments are given in order of their key frames."""
    own, R, zoom = [], [np.eye(3)], [1.0]
    for number, segment in enumerate(segments):
        if number:
            holder, turn = _holding(segments[:number], own, segment.key)
            R.append(turn.R @ R[holder])
            zoom.append(turn.zoom * zoom[holder])
        own.append(segment_turns(segment, middle, focal_px * zoom[-1], scale, zooms))
    keys = np.array([each.key for each in segments])
    links = _links(segments, np.array(R), np.array(zoom), middle, focal_px, scale, zooms)
    settled, zoomed = _settled(segments, own, np.array(R), np.array(zoom), links)
    all_R, all_zoom, off = np.tile(np.eye(3), (frames, 1, 1)), np.ones(frames), np.full(frames, np.inf)
    for number, segment in enumerate(segments):
        rows = np.array([keys[number], *segment.frames]) - first
        for row, turn in zip(rows, [Turn(np.eye(3), 1.0, 0.0), *own[number]], strict=True):
            if 0 <= row < frames and turn.off_px < off[row] and not (row and row == rows[0] and np.isfinite(off[row])):
                all_R[row], all_zoom[row] = turn.R @ settled[number], turn.zoom * zoomed[number]
                off[row] = turn.off_px
    return Turns(*_filled(all_R, all_zoom, off), off)


def _holding(earlier: list[Segment], own: list[list[Turn]], frame: int) -> tuple[int, Turn]:
    """The latest earlier segment in which the frame was measured, and its turn there."""
    for number in range(len(earlier) - 1, -1, -1):
        if frame in earlier[number].frames:
            turn = own[number][earlier[number].frames.index(frame)]
            if np.isfinite(turn.off_px):
                return number, turn
    return len(earlier) - 1, Turn.unknown()


def _links(
    segments: list[Segment], R: np.ndarray, zoom: np.ndarray, middle: np.ndarray, focal_px: float, scale: float,
    zooms: bool,
) -> list[tuple[int, int, Turn]]:  # fmt: skip
    """Pairs of key frames that show the same place, and the later one against the earlier one."""
    links = []
    for late in range(2, len(segments)):
        tried = 0
        for early in range(late - 1):
            if tried == MOST_LINKS:
                break
            if segments[early].picture is None or segments[late].picture is None:
                continue
            guess, own_focal = Turn(R[late] @ R[early].T, zoom[late] / zoom[early], np.inf), focal_px * zoom[early]
            expected = _expected(segments[early].points - middle, guess, own_focal) + middle
            inside: Bool[np.ndarray, "points"] = np.all((expected > 0) & (expected < 2 * middle), axis=1)
            if inside.sum() < max(4 * LEAST_POINTS, OVERLAP * len(inside)) or abs(np.log(guess.zoom)) > 0.3:
                continue
            tried += 1
            rows = np.flatnonzero(inside)
            good, places = looked_up(segments[early], segments[late], rows, expected[rows], scale)
            turn = fit_turn(
                segments[early].points[rows[good]] - middle, places[good] - middle, own_focal, scale, guess, zooms
            )
            if good.sum() >= 4 * LEAST_POINTS and turn.off_px * scale < 1.5:
                links.append((early, late, turn))
    return links


def _expected(points: np.ndarray, turn: Turn, focal_px: float) -> Float[np.ndarray, "points 2"]:
    rays = np.concatenate([points / focal_px, np.ones((len(points), 1))], 1) @ turn.R.T
    return np.where(rays[:, 2:] > 0.1, focal_px * turn.zoom * rays[:, :2] / np.maximum(rays[:, 2:], 0.1), np.inf)


def _settled(
    segments: list[Segment], own: list[list[Turn]], R: np.ndarray, zoom: np.ndarray, links: list[tuple[int, int, Turn]]
) -> tuple[np.ndarray, np.ndarray]:
    """The key frames' cameras that agree best with all comparisons (linear least squares on small corrections)."""
    if not links:
        return R, zoom
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import lsqr

    pairs = [(early, late, turn.R, turn.zoom) for early, late, turn in links]
    for number, segment in enumerate(segments[1:], start=1):
        holder, turn = _holding(segments[:number], own, segment.key)
        pairs.append((holder, number, turn.R, turn.zoom))
    early, late = (np.array([pair[which] for pair in pairs]) for which in (0, 1))
    for _ in range(3):
        wanted = np.stack([pair[2] for pair in pairs]) @ R[early]
        errors = np.concatenate([
            rotvec_from_matrix(R[late].swapaxes(-1, -2) @ wanted),
            np.log([pair[3] for pair in pairs] / (zoom[late] / zoom[early]))[:, None],
        ], 1)  # fmt: skip
        rows = np.arange(len(pairs))
        values = np.concatenate([np.ones(len(pairs)), -np.ones(len(pairs))])
        carried = np.concatenate([late, early])
        system = coo_array((values, (np.tile(rows, 2), carried)), (len(pairs), len(segments))).tocsr()[:, 1:]
        steps = np.stack([lsqr(system, errors[:, column])[0] for column in range(4)], -1)
        R = R.copy()
        R[1:] = R[1:] @ matrix_from_rotvec(steps[:, :3])
        zoom = np.concatenate([zoom[:1], zoom[1:] * np.exp(steps[:, 3])])
    return R, zoom


def _filled(
    R: np.ndarray, zoom: np.ndarray, off: np.ndarray
) -> tuple[Float[np.ndarray, "frames 3 3"], Float[np.ndarray, "frames"]]:
    """Frames that were not measured lie between their neighbours."""
    known: Int[np.ndarray, "known"] = np.flatnonzero(np.isfinite(off))
    if not len(known) or len(known) == len(off):
        return R, zoom
    from scipy.spatial.transform import Rotation, Slerp

    rows = np.arange(len(off)).clip(known[0], known[-1])
    if len(known) == 1:
        return R[known[rows * 0]], zoom[known[rows * 0]]
    turned = Slerp(known, Rotation.from_matrix(R[known]))(rows).as_matrix()
    return turned, np.exp(np.interp(rows, known, np.log(zoom[known])))
