"""Real video with 3-D truth: the clips of a folder, and how far predicted points are from the truth.

A clip is FOLDER/NAME.npz beside one video per view, FOLDER/NAME_VIEW.mp4. The file holds `views fps root K D R t`
(x_camera = R x + t, metres, OpenCV) and `xyz_pose` (frames 33 3) in MediaPipe's definitions, and where known
`xyz_left_hand`, `xyz_right_hand` (21 points) and `xyz_face` (478). Unknown points are NaN.

All errors are in mm, in the frame of the view's camera, over twelve points: shoulders, elbows, wrists, hips, knees,
ankles. The root is the middle of the hips, or of the shoulders where hips are unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

NUMBERS = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""The twelve points among MediaPipe's 33."""
PARTS = {"shoulders": (0, 1), "elbows": (2, 3), "wrists": (4, 5), "hips": (6, 7), "knees": (8, 9), "ankles": (10, 11)}
ROOTS = {"hips": (6, 7), "shoulders": (0, 1)}
STEP_SECONDS = 1 / 30
"""Accelerations are errors of second differences over this time."""
LEAST_POINTS = 4
"""Points that a frame needs for an alignment of its own."""
LEAST_SHARE = 0.3
"""Share of the frames in which a point of the head must be known to be used."""


@dataclass(frozen=True)
class View:
    """One video and its truth in the frame of its camera, metres; NaN where unknown."""

    clip: str
    name: str
    video: Path
    fps: float
    root: tuple[int, int]
    K: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, "coefficients"]
    pose: Float[np.ndarray, "frames 33 3"]
    hands: dict[str, Float[np.ndarray, "frames 21 3"]] = field(default_factory=dict)
    face: Float[np.ndarray, "frames 478 3"] | None = None

    @property
    def points(self) -> Float[np.ndarray, "frames 12 3"]:
        """The twelve points; legs and hips are left out where the root is the shoulders."""
        points = self.pose[:, NUMBERS].astype(float)
        if self.root == ROOTS["shoulders"]:
            points[:, 6:] = np.nan
        return points

    @property
    def facing_degrees(self) -> float:
        """Median angle between the direction of the chest and the direction to the camera: 180 shows the back."""
        points = self.points
        left = points[:, 0] - points[:, 1]
        up = points[:, [0, 1]].mean(1) - points[:, [6, 7]].mean(1)
        up[~np.isfinite(up).all(1)] = (0, -1, 0)
        chest, away = np.cross(left, up), points[:, [0, 1]].mean(1)
        cosine = -(chest * away).sum(1) / np.linalg.norm(chest, axis=1) / np.linalg.norm(away, axis=1)
        return float(np.nanmedian(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))


def views(folder: Path) -> list[View]:
    """All views in a folder of truth."""
    return [view for path in sorted(folder.glob("*.npz")) for view in _views_of(path)]


def _views_of(path: Path) -> list[View]:
    found = []
    with np.load(path, allow_pickle=False) as data:
        for number, name in enumerate(str(name) for name in data["views"]):
            rotation, shift = data["R"][number], data["t"][number]
            known = [key for key in ("pose", "left_hand", "right_hand", "face") if f"xyz_{key}" in data]
            placed = {key: data[f"xyz_{key}"] @ rotation.T + shift for key in known}
            hands = {key: placed[key] for key in ("left_hand", "right_hand") if key in placed}
            found.append(View(path.stem, name, path.with_name(f"{path.stem}_{name}.mp4"), float(data["fps"]),
                              ROOTS[str(data["root"])], data["K"][number], data["D"][number], placed["pose"], hands,
                              placed.get("face")))  # fmt: skip
    return found


@dataclass(frozen=True)
class Errors:
    """Errors of one method on one view, mm, means over points and frames."""

    mpjpe: float
    """Root on root, nothing else."""
    scaled: float
    """With one scale for the clip besides."""
    pa: float
    """After rotation, scale and shift of every frame (Procrustes)."""
    across: float
    """Part of `scaled` across the line of sight."""
    along: float
    """Part of `scaled` along the line of sight."""
    acceleration: float
    """Error of the second difference over 1/30 s, after `scaled`."""
    scale: float
    """The factor that `scaled` applied: above 1 where the person was found too small."""
    parts: dict[str, float]
    """`scaled` by part; NaN where unknown."""
    placed: float | None = None
    """After one similarity for the whole clip, with the root where it is: where the person stands."""


def errors(predicted: Float[np.ndarray, "frames 12 3"], view: View, knows_place: bool) -> Errors:
    """Compare the twelve points, metres, with the truth of a view. `knows_place`: the method gives camera space."""
    truth = view.points[: len(predicted)]
    predicted = predicted[: len(truth)].astype(float)
    known = np.isfinite(predicted).all(-1) & np.isfinite(truth).all(-1)
    known &= known[:, view.root].all(1, keepdims=True)
    ours, theirs = (points - points[:, view.root].mean(1, keepdims=True) for points in (predicted, truth))
    scale = float((ours[known] * theirs[known]).sum() / (ours[known] ** 2).sum())
    difference = np.where(known[..., None], scale * ours - theirs, np.nan)
    scaled = np.linalg.norm(difference, axis=-1)
    place = None
    if knows_place:
        place = float(np.linalg.norm(aligned(predicted[known], truth[known]) - truth[known], axis=-1).mean())
    parts = {name: _mean_mm(scaled[:, columns]) for name, columns in PARTS.items()}
    return Errors(
        mpjpe=_mean_mm(np.linalg.norm(ours - theirs, axis=-1)[known]), scaled=_mean_mm(scaled),
        pa=_mean_mm(_aligned_per_frame(predicted, truth, known)),
        across=_mean_mm(np.linalg.norm(difference[..., :2], axis=-1)), along=_mean_mm(np.abs(difference[..., 2])),
        acceleration=_mean_mm(_acceleration(difference, view.fps)), scale=scale, parts=parts,
        placed=None if place is None else 1000 * place,
    )  # fmt: skip


def similarity(
    ours: Float[np.ndarray, "points 3"], theirs: Float[np.ndarray, "points 3"]
) -> tuple[float, Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Scale, rotation and shift with scale * ours @ rotation.T + shift nearest to theirs (Umeyama 1991)."""
    a, b = ours - ours.mean(0), theirs - theirs.mean(0)
    u, singular, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((singular * sign).sum() / (a**2).sum())
    return scale, rotation, theirs.mean(0) - scale * rotation @ ours.mean(0)


def aligned(
    ours: Float[np.ndarray, "points 3"], theirs: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, "points 3"]:
    """`ours` after the similarity that brings it nearest to `theirs`."""
    scale, rotation, shift = similarity(ours, theirs)
    return scale * ours @ rotation.T + shift


def _aligned_per_frame(predicted, truth, known: Bool[np.ndarray, "frames 12"]) -> Float[np.ndarray, "frames 12"]:
    out = np.full(known.shape, np.nan)
    for row in np.flatnonzero(known.sum(1) >= LEAST_POINTS):
        chosen = known[row]
        moved = aligned(predicted[row, chosen], truth[row, chosen])
        out[row, chosen] = np.linalg.norm(moved - truth[row, chosen], axis=-1)
    return out


def _acceleration(difference: Float[np.ndarray, "frames 12 3"], fps: float) -> Float[np.ndarray, "inner 12"]:
    """Error of the second difference over STEP_SECONDS. A slower clip's own step counts as if the acceleration were
    constant over it."""
    step = max(1, round(fps * STEP_SECONDS))
    second = difference[2 * step :] - 2 * difference[step:-step] + difference[: -2 * step]
    return np.linalg.norm(second, axis=-1) * (fps * STEP_SECONDS / step) ** 2


@dataclass(frozen=True)
class HandErrors:
    """Errors of one hand in the frames where it is valid and its truth is known, mm, means over 20 points."""

    wrist: float
    """Wrist on wrist, with one scale for the clip."""
    pa: float
    scale: float
    frames: int


def hand_errors(
    predicted: Float[np.ndarray, "frames 21 3"],
    truth: Float[np.ndarray, "frames 21 3"],
    valid: Bool[np.ndarray, "frames"],
) -> HandErrors | None:
    """Compare one hand; None when fewer than 3 frames can be compared."""
    frames = min(len(predicted), len(truth))
    predicted, truth, valid = predicted[:frames].astype(float), truth[:frames].astype(float), valid[:frames]
    chosen = np.isfinite(predicted).all((1, 2)) & np.isfinite(truth).all((1, 2)) & valid
    if chosen.sum() < 3:
        return None
    ours, theirs = (points[chosen] - points[chosen][:, :1] for points in (predicted, truth))
    scale = float((ours * theirs).sum() / (ours**2).sum())
    moved = [np.linalg.norm(aligned(a, b) - b, axis=-1) for a, b in zip(ours, theirs, strict=True)]
    return HandErrors(_mean_mm(np.linalg.norm(scale * ours - theirs, axis=-1)[:, 1:]), _mean_mm(np.array(moved)), scale,
                      int(chosen.sum()))  # fmt: skip


@dataclass(frozen=True)
class HeadErrors:
    """Errors of the head from points of the face."""

    turn_degrees: float
    """Median turn against the truth, after the constant turn of the clip."""
    shape: float
    """Mean distance after rotation, scale and shift of every frame, mm."""
    scale: float
    """Median factor from the predicted to the true size."""


def head_errors(
    predicted: Float[np.ndarray, "frames points 3"], truth: Float[np.ndarray, "frames points 3"]
) -> HeadErrors | None:
    """Compare the same points of the face; None when fewer than 20 points are known in a third of the frames."""
    frames = min(len(predicted), len(truth))
    predicted, truth = predicted[:frames].astype(float), truth[:frames].astype(float)
    rigid = np.isfinite(truth[..., 0]).mean(0) > LEAST_SHARE
    turns, shapes, scales = [], [], []
    for ours, theirs in zip(predicted[:, rigid], truth[:, rigid], strict=True):
        known = np.isfinite(ours).all(1) & np.isfinite(theirs).all(1)
        if known.sum() < 20:
            continue
        scale, rotation, shift = similarity(ours[known], theirs[known])
        turns.append(rotation)
        scales.append(scale)
        shapes.append(np.linalg.norm(scale * ours[known] @ rotation.T + shift - theirs[known], axis=-1).mean())
    if not turns:
        return None
    u, _, vt = np.linalg.svd(np.mean(turns, 0))
    angles = [np.degrees(np.arccos(np.clip((np.trace(turn @ (u @ vt).T) - 1) / 2, -1, 1))) for turn in turns]
    return HeadErrors(float(np.median(angles)), _mean_mm(np.array(shapes)), float(np.median(scales)))


def _mean_mm(metres: np.ndarray) -> float:
    known = metres[np.isfinite(metres)]
    return 1000 * float(known.mean()) if len(known) else float("nan")
