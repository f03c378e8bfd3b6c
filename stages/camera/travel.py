"""The path of a camera that travels, up to one factor per shot, from points of unknown depth.

A point with the ray r = (x, 1) of a key frame and the inverse depth d is seen in another frame at z times the
projection of R r + d t. The zoom z is 1 unless it is asked for. R, t, z and d are fitted to some frames of each segment
together (Gauss-Newton with damping, Cauchy loss, the depths eliminated: Triggs et al. 2000), then R, t and z to every
frame. In its own unit the median point of a key frame has depth 1; points that two segments share give the factor from
one unit to the next. A camera that moves little is the usual case, so the fit starts from the rotation alone and from
points of equal depth (Yu and Gallup 2014), and also from the essential matrix of the last frame; the better end is
taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from stages.body.rotations import matrix_from_rotvec, skew
from stages.camera.follow import LEAST_POINTS, Segment
from stages.camera.turns import NOISE_PX, Turn

MOST_FRAMES = 12
"""Frames of a segment from which depths are fitted."""
STEPS, POSE_STEPS = 40, 12
LEAST_INVERSE, MOST_INVERSE = 1e-3, 20.0
"""Inverse depths, where the median is 1."""
HOLD, HOLD_CARRIED, HOLD_ZOOM = 1e-3, 10.0, 1.0
"""Weights that keep inverse depths at their start, relative to it: of new points, and of points of the segment before.
A point that moves by 1 px against the far ones in 12 frames has a weight of 60. The last one keeps log zooms at 0."""


@dataclass(frozen=True)
class Piece:
    """The frames of one segment: x_frame ~ R r + d t, with d the inverse depth of the points in the key frame."""

    R: Float[np.ndarray, "frames 3 3"]
    t: Float[np.ndarray, "frames 3"]
    zoom: Float[np.ndarray, "frames"]
    """Focal length against that of the key frame."""
    inverse: Float[np.ndarray, "points"]
    known: Bool[np.ndarray, "points"]
    """Points that were seen in enough frames and that fit."""
    off_px: float
    """How far the points are from where the fit expects them, px (`usual_off` of the frames used for depths)."""
    turn_off_px: float
    """The same for a camera that only turns and zooms."""


def travel_of_segment(
    segment: Segment, turns: list[Turn], middle: Float[np.ndarray, "2"], focal_px: float, scale: float,
    carried: Float[np.ndarray, "points"] | None = None, zooms: bool = False,
) -> Piece | None:  # fmt: skip
    """Depths of the segment's points and the camera of each of its frames. None for too few points or frames.

    focal_px: of the key frame. carried: inverse depths that are known from the segment before, NaN elsewhere; they give
    the unit. zooms: whether the focal length may change.
    """
    able = [row for row, found in enumerate(segment.found) if len(found) >= 2 * LEAST_POINTS]
    told = np.zeros(len(segment.points), bool) if carried is None else np.isfinite(carried)
    if len(able) < 2:
        if carried is None or told.sum() < 2 * LEAST_POINTS:
            return None
        return _with_known_depths(segment, turns, middle, focal_px, scale, np.where(told, carried, 1.0), told, zooms)
    chosen = np.unique(np.linspace(0, len(able) - 1, min(MOST_FRAMES, len(able))).round().astype(int))
    rows = [able[each] for each in chosen]
    rays = np.concatenate([(segment.points - middle) / focal_px, np.ones((len(segment.points), 1))], 1)
    seen = np.zeros((len(rows), len(rays)), bool)
    where = np.zeros((len(rows), len(rays), 2))
    for number, row in enumerate(rows):
        seen[number, segment.found[row]] = True
        where[number, segment.found[row]] = (segment.places[row] - middle) / focal_px
    noise = NOISE_PX / scale / focal_px
    known = seen.sum(0) >= 2
    if known.sum() < 2 * LEAST_POINTS:
        return None
    seen &= known
    wanted, hold = np.ones(len(rays)), np.full(len(rays), HOLD)
    if carried is not None and told.sum() >= LEAST_POINTS:
        wanted = np.where(told, carried, np.median(carried[told]))
        hold = np.where(told, HOLD_CARRIED, HOLD) / wanted**2
    turned, ones = np.stack([turns[row].R for row in rows]), np.ones(len(rows))
    starts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for zoom in (ones, np.array([turns[row].zoom for row in rows]))[: 1 + zooms]:
        starts.append((turned, np.zeros((len(rows), 3)), zoom, wanted))
        essential = _from_essential(rays, where / zoom[:, None, None], seen, turned, noise)
        if essential is not None:
            factor = float(np.median(wanted / essential[2]))
            starts.append((essential[0], essential[1] / factor, zoom, essential[2] * factor))
    fits = [_fit(rays, where, seen, *start, wanted, hold, noise, zooms) for start in starts]
    R, t, zoom, inverse, apart = min(fits, key=lambda fit: fit[4])
    cameras = _poses(segment, rays, inverse, known, middle, focal_px, noise, np.array(rows), (R, t, zoom), zooms)
    turning = usual_off([turns[row].off_px for row in rows])
    return Piece(*cameras, inverse, known, apart * focal_px, turning)


def _with_known_depths(
    segment: Segment, turns: list[Turn], middle: np.ndarray, focal_px: float, scale: float, inverse: np.ndarray,
    known: np.ndarray, zooms: bool,
) -> Piece:  # fmt: skip
    """A segment of few frames, from the depths of the segment before."""
    rays = np.concatenate([(segment.points - middle) / focal_px, np.ones((len(segment.points), 1))], 1)
    noise, R = NOISE_PX / scale / focal_px, np.stack([np.eye(3), *(turn.R for turn in turns)])[1:]
    start = R, np.zeros((len(turns), 3)), np.ones(len(turns))
    cameras = _poses(segment, rays, inverse, known, middle, focal_px, noise, np.arange(len(turns)), start, zooms)
    return Piece(*cameras, inverse, known, 0.0, 0.0)


def _poses(
    segment: Segment, rays: np.ndarray, inverse: np.ndarray, known: np.ndarray, middle: np.ndarray, focal_px: float,
    noise: float, rows: np.ndarray, start: tuple[np.ndarray, np.ndarray, np.ndarray], zooms: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """R, t and zoom of every frame of a segment, from those of the nearest of `rows`. Frames with few points keep the
    start."""
    nearest = [int(np.abs(rows - row).argmin()) for row in range(len(segment.found))]
    R, t, zoom = (each[nearest].copy() for each in start)
    for row, found in enumerate(segment.found):
        both = known[found]
        if both.sum() >= LEAST_POINTS:
            where = (segment.places[row][both] - middle) / focal_px
            R[row], t[row], zoom[row] = fit_pose(
                rays[found][both], inverse[found][both], where, R[row], t[row], float(zoom[row]), noise, zooms
            )
    return R, t, zoom


def _residuals(rays, where, R, t, zoom, inverse):
    """Differences in normalised coordinates, the points in each camera, and their depth."""
    points = np.einsum("fij,pj->fpi", R, rays) + inverse[None, :, None] * t[:, None]
    depth = np.maximum(points[..., 2], 0.05)
    return where - zoom[:, None, None] * points[..., :2] / depth[..., None], points, depth


def _fit(rays, where, seen, R, t, zoom, inverse, wanted, hold, noise, zooms):
    """R, t, zooms and inverse depths that fit best, and how far off the points are (`usual_off`). Inverse depths are
    held at `wanted` with the weights `hold`."""
    frames, own, damping = len(R), 6 + zooms, 1e-3
    off, points, depth = _residuals(rays, where, R, t, zoom, inverse)
    cost, weight = _robust(off, seen, noise)
    for _ in range(STEPS):
        pose, deep = _derivatives(rays, points, depth, R, t, zoom, inverse)
        pose = pose[..., :own]
        weighted = pose * weight[..., None, None]
        Hcc = np.einsum("fpij,fpik->fjk", weighted, pose)
        Hcd = np.einsum("fpij,fpi->fpj", weighted, deep)
        Hdd = np.einsum("fp,fpi,fpi->p", weight, deep, deep) + hold
        gc = np.einsum("fpij,fpi->fj", weighted, off)
        gd = np.einsum("fp,fpi,fpi->p", weight, deep, off) + hold * (wanted - inverse)
        if zooms:
            Hcc[:, 6, 6] += HOLD_ZOOM
            gc[:, 6] -= HOLD_ZOOM * np.log(zoom)
        better = False
        while damping < 1e6:
            Hd = Hdd * (1 + damping)
            flat = Hcd.transpose(0, 2, 1).reshape(own * frames, -1)
            S = -((flat / Hd) @ flat.T).reshape(frames, own, frames, own)
            index, eye = np.arange(frames), np.eye(own)
            S[index, :, index] += Hcc + damping * np.einsum("fjj->fj", Hcc)[:, :, None] * eye + 1e-9 * eye
            right = gc - np.einsum("fpj,p->fj", Hcd, gd / Hd)
            step = np.linalg.solve(S.reshape(own * frames, own * frames), right.ravel()).reshape(frames, own)
            steps = (gd - np.einsum("fpj,fj->p", Hcd, step)) / Hd
            new = (matrix_from_rotvec(step[:, :3]) @ R, t + step[:, 3:6], zoom * np.exp(step[:, 6:].sum(1)),
                   np.clip(inverse + steps, LEAST_INVERSE, MOST_INVERSE))  # fmt: skip
            tried = _residuals(rays, where, *new)
            new_cost, new_weight = _robust(tried[0], seen, noise)
            if new_cost < cost:
                better = cost - new_cost > 1e-6 * cost
                (R, t, zoom, inverse), (off, points, depth), cost, weight = new, tried, new_cost, new_weight
                damping = max(damping / 4, 1e-7)
                break
            damping *= 4
        if not better:
            break
    apart = np.where(seen, np.linalg.norm(off, axis=-1), np.nan)
    return R, t, zoom, inverse, usual_off([float(np.nanmedian(each)) for each in apart])


def usual_off(off: list[float]) -> float:
    """Of the median distances of several frames, the one that one frame in ten exceeds."""
    return float(np.percentile(off, 90))


def _robust(off, seen, noise):
    """Cauchy loss and weights, in units of the noise."""
    width = 3 * noise
    squared = (off**2).sum(-1) / width**2
    return float((np.log1p(squared) * seen).sum()), seen / (1 + squared) / width**2


def _derivatives(rays, points, depth, R, t, zoom, inverse):
    """Of the projection: by the pose (a turn of R on the left, then t, then the log zoom), and by the inverse depth."""
    x, y = points[..., 0] / depth, points[..., 1] / depth
    project = np.zeros((*points.shape[:2], 2, 3))
    project[..., 0, 0] = project[..., 1, 1] = 1 / depth
    project[..., 0, 2], project[..., 1, 2] = -x / depth, -y / depth
    project *= zoom[:, None, None, None]
    turned, grown = np.einsum("fij,pj->fpi", R, rays), zoom[:, None, None] * np.stack([x, y], -1)
    pose = np.concatenate([-project @ skew(turned), project * inverse[None, :, None, None], grown[..., None]], -1)
    return pose, np.einsum("fpij,fj->fpi", project, t)


def fit_pose(rays, inverse, where, R, t, zoom, noise, zooms):
    """R, t and zoom of one frame from points of known depth."""
    R, t, zoom, own = R[None], t[None], np.array([zoom]), 6 + zooms
    seen = np.ones((1, len(rays)), bool)
    for _ in range(POSE_STEPS):
        off, points, depth = _residuals(rays, where[None], R, t, zoom, inverse)
        _, weight = _robust(off, seen, noise)
        pose, _ = _derivatives(rays, points, depth, R, t, zoom, inverse)
        pose = pose[..., :own]
        weighted = pose * weight[..., None, None]
        H = np.einsum("fpij,fpik->jk", weighted, pose) + 1e-6 * np.eye(own)
        step = np.linalg.solve(H, np.einsum("fpij,fpi->j", weighted, off))
        R, t = matrix_from_rotvec(step[None, :3]) @ R, t + step[3:6]
        zoom = zoom * np.exp(step[6:].sum())
        if np.abs(step).max() < 1e-8:
            break
    return R[0], t[0], float(zoom[0])


def _from_essential(rays, where, seen, turned, noise):
    """A start from the two-view geometry of the last frame; None where there is none."""
    import cv2

    last = np.flatnonzero(seen[-1])
    if len(last) < 2 * LEAST_POINTS:
        return None
    before, after = rays[last, :2].astype(np.float64), where[-1, last]
    E, inliers = cv2.findEssentialMat(before, after, np.eye(3), cv2.USAC_MAGSAC, 0.999, 4 * noise)
    if E is None or E.shape != (3, 3):
        return None
    _, R, direction, _ = cv2.recoverPose(E, before, after, np.eye(3), mask=inliers)
    direction = direction.ravel()
    turned_rays = rays @ R.T
    side = np.cross(np.concatenate([where[-1], np.ones((len(rays), 1))], 1), turned_rays)
    across = np.cross(np.concatenate([where[-1], np.ones((len(rays), 1))], 1), direction)
    inverse = -(side * across).sum(1) / np.maximum((across**2).sum(1), 1e-12)
    good = seen[-1] & (inverse > 0)
    if good.sum() < LEAST_POINTS:
        return None
    typical = float(np.median(inverse[good]))
    inverse = np.where(good, np.clip(inverse / typical, 0.05, MOST_INVERSE), 1.0)
    poses = [fit_pose(rays[each & good], inverse[each & good], frame[each & good], start, np.zeros(3), 1.0, noise,
                      zooms=False)
             for frame, each, start in zip(where, seen, turned, strict=True)
             if (each & good).sum() >= LEAST_POINTS]  # fmt: skip
    if len(poses) < len(where):
        return None
    return np.stack([each[0] for each in poses]), np.stack([each[1] for each in poses]), inverse
