"""A motion upright in its world and on the floor, at its own times or at a whole frame rate; every export uses it.

Frame: y up, x to the picture's right, z towards the camera, metres; the body faces +z as in its rest pose. The world is
turned so that the motion's floor is level; without a floor its y axis counts as gravity, and the lowest point of the
clip as the floor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.artifacts.motion import Motion
from stages.artifacts.world import World
from stages.body.camera import UPRIGHT
from stages.body.model import Body, motion_template, pose_motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.body.same_body import require_same_body
from stages.progress import Progress, silent

ROWS_AT_ONCE = 16
UP = np.array([0.0, -1.0, 0.0])
"""Against gravity, in the world."""
CUT_SECONDS = 1e-3
"""Time from the held sample to the next shot, in a format that can only interpolate."""


@dataclass(frozen=True)
class UprightMotion:
    """One person's motion, upright, with the floor of each shot at height 0; a sample is a row or a new frame."""

    template: Float[np.ndarray, "vertices 3"]
    """The person's vertices in the rest pose, without expression, metres."""
    trans: Float[np.ndarray, "samples 3"]
    poses: Float[np.ndarray, "samples 165"]
    expression: Float[np.ndarray, "samples expression"]
    head_scale: float
    valid: Bool[np.ndarray, "samples 4"]
    times: Float[np.ndarray, "samples"]
    """Seconds from the first sample."""
    shot: Int[np.ndarray, "samples"]
    """Number of each sample's shot. Nothing may be interpolated across a cut."""
    camera_rotvec: Float[np.ndarray, "samples 3"]
    """Rotation of the camera, which looks along its -z with y up, as in glTF and Blender."""
    camera_trans: Float[np.ndarray, "samples 3"]
    """Place of the camera, metres."""
    yfov: Float[np.ndarray, "samples"]
    """Vertical field of view, radians."""
    aspect: float
    """Width of the picture against its height."""

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.trans)


def upright_motion(motion: Motion, body: Body, fps: int | None = None, progress: Progress = silent) -> UprightMotion:
    """Upright samples at `fps` frames per second, or (None) one per row at the row's own time.

    Rotations are interpolated by slerp, everything else linearly; validity is taken from the nearer row.
    Raises InputError for a motion of another body file.
    """
    require_same_body("motion", motion, body)
    motion = level(motion)
    poses, trans = upright(motion, body)
    camera_turn, camera_trans = camera_upright(motion)
    for rows, lowest in zip(motion.shots, _lowest(motion, body, progress), strict=True):
        trans[rows, 1] -= lowest
        camera_trans[rows, 1] -= lowest
    times = motion.pts_seconds - motion.pts_seconds[0]
    row, share = np.arange(len(motion)), np.zeros(len(motion))
    if fps is not None:
        row, share = sample_positions(motion, fps)
        times = np.arange(len(row)) / fps
        poses = _interpolated_rotations(poses.reshape(-1, 55, 3), row, share).reshape(-1, 165)
        camera_turn = _interpolated_rotations(camera_turn, row, share)
    width, height = motion.image_size
    return UprightMotion(
        template=motion_template(body, motion),
        trans=_interpolated(trans, row, share),
        poses=poses.astype(np.float32),
        expression=_interpolated(motion.expression, row, share),
        head_scale=motion.head_scale,
        valid=motion.valid[np.where(share < 0.5, row, np.minimum(row + 1, len(motion) - 1))],
        times=times.astype(np.float64),
        shot=np.zeros(len(row), np.int64) if motion.shot is None else motion.shot[row],
        camera_rotvec=camera_turn.reshape(-1, 3).astype(np.float32),
        camera_trans=_interpolated(camera_trans, row, share),
        yfov=_interpolated(2 * np.arctan(height / 2 / motion.K[:, 1, 1:2]), row, share)[:, 0],
        aspect=width / height,
    )


def hold_before_cuts(samples: UprightMotion) -> UprightMotion:
    """The samples, and before each cut the last one again, CUT_SECONDS before the next shot: whoever interpolates
    linearly between samples then shows no movement from one shot to the next."""
    last = np.flatnonzero(np.diff(samples.shot))
    chosen = np.sort(np.concatenate([np.arange(len(samples)), last]))
    times = samples.times[chosen]
    again = np.flatnonzero(np.diff(chosen) == 0) + 1
    times[again] = np.maximum(samples.times[last], samples.times[last + 1] - CUT_SECONDS)
    return replace(
        samples, trans=samples.trans[chosen], poses=samples.poses[chosen], expression=samples.expression[chosen],
        valid=samples.valid[chosen], times=times, shot=samples.shot[chosen],
        camera_rotvec=samples.camera_rotvec[chosen], camera_trans=samples.camera_trans[chosen],
        yfov=samples.yfov[chosen],
    )  # fmt: skip


def upright(motion: Motion, body: Body) -> tuple[Float[np.ndarray, "frames 165"], Float[np.ndarray, "frames 3"]]:
    """`poses` and `trans` in the world turned by UPRIGHT; smplx rotates the root about the pelvis joint."""
    poses, world = motion.poses.astype(np.float64), motion.world
    poses[:, :3] = rotvec_from_matrix(UPRIGHT @ world.R @ matrix_from_rotvec(poses[:, :3]))
    pelvis = body.J_regressor[0] @ motion_template(body, motion)
    return poses, world.points((motion.trans + pelvis)[:, None])[:, 0] @ UPRIGHT.T - pelvis


def level(motion: Motion) -> Motion:
    """The motion with the world of each shot turned so that its floor is level, if it has one."""
    if motion.floor is None or not np.isfinite(motion.floor).any():
        return motion
    known = np.isfinite(motion.floor[:, 0])
    turn, floor, world = np.tile(np.eye(3), (len(motion), 1, 1)), motion.floor.copy(), motion.world
    turn[known] = np.stack([_turn_between(normal, UP) for normal in floor[known, :3]])
    floor[known, :3] = UP
    turned = World(turn @ world.R, (turn @ world.t[..., None])[..., 0], world.camera)
    return replace(motion, floor=floor, **turned.as_rows())


def _turn_between(first: Float[np.ndarray, "3"], second: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """The shortest rotation from one unit vector to another."""
    axis = np.cross(first, second)
    angle = np.arctan2(np.linalg.norm(axis), first @ second)
    return matrix_from_rotvec(axis / max(np.linalg.norm(axis), 1e-12) * angle)


def camera_upright(motion: Motion) -> tuple[Float[np.ndarray, "frames 1 3"], Float[np.ndarray, "frames 3"]]:
    """Rotation vector and place of each row's camera in the world turned by UPRIGHT; it looks along its -z, y up."""
    world = motion.world
    return rotvec_from_matrix(UPRIGHT @ world.R @ UPRIGHT)[:, None].astype(np.float64), world.t @ UPRIGHT.T


def sample_positions(motion: Motion, fps: int) -> tuple[np.ndarray, Float[np.ndarray, "samples"]]:
    """The row before each sample, and how far the sample is on the way to the next row (0..1), by the rows' times.
    A sample between two shots is the last row before the cut."""
    times = motion.pts_seconds - motion.pts_seconds[0]
    length = motion.duration_seconds or float(1 / (motion.fps or Fraction(1)))
    at = np.minimum(np.arange(max(1, round(length * fps))) / fps, times[-1])
    row = np.clip(np.searchsorted(times, at, side="right") - 1, 0, max(len(times) - 2, 0))
    if len(times) == 1:
        return row, np.zeros(len(at))
    share = np.clip((at - times[row]) / np.maximum(times[row + 1] - times[row], 1e-9), 0, 1)
    return row + (motion.cuts[row] & (share >= 1)), np.where(motion.cuts[row], 0.0, share)


def whole_frame_rate(motion: Motion, fps: int | None) -> int:
    """`fps`, or the motion's own rate rounded."""
    return fps or max(1, round(motion.fps))


def _lowest(motion: Motion, body: Body, progress: Progress) -> list[float]:
    """Height of the floor of each shot, y up, before the person is placed on it: that of the motion's level floor, or
    of the lowest point over the measured rows. Each shot has its own camera."""
    floor = np.full(len(motion), np.nan) if motion.floor is None else motion.floor[:, 3]
    if np.isfinite(floor).all():
        return [float(floor[rows.start]) for rows in motion.shots]
    lowest, world = np.full(len(motion), -np.inf), motion.world
    for start in range(0, len(motion), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        vertices = pose_motion(body, motion, rows).vertices
        lowest[rows] = ((vertices @ world.R[rows, 1, :, None])[..., 0] + world.t[rows, 1, None]).max(1)
        progress("finding the floor", min(start + ROWS_AT_ONCE, len(motion)), len(motion))
    seen = np.where(motion.valid[:, 0], lowest, -np.inf)
    heights = [
        -float(seen[rows].max() if np.isfinite(seen[rows]).any() else lowest[rows].max()) for rows in motion.shots
    ]
    known = [float(floor[rows.start]) for rows in motion.shots]
    return [found if np.isfinite(found) else height for found, height in zip(known, heights, strict=True)]


def _interpolated(values: np.ndarray, row: np.ndarray, share: np.ndarray) -> np.ndarray:
    following = np.minimum(row + 1, len(values) - 1)
    return (values[row] + share[:, None] * (values[following] - values[row])).astype(np.float32)


def _interpolated_rotations(
    rotvec: Float[np.ndarray, "frames joints 3"], row: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Slerp between a row's rotations and the next row's; `share` 0 is the row itself."""
    matrices = matrix_from_rotvec(rotvec)
    first, second = matrices[row], matrices[np.minimum(row + 1, len(matrices) - 1)]
    turn = rotvec_from_matrix(first.swapaxes(-1, -2) @ second)
    return rotvec_from_matrix(first @ matrix_from_rotvec(share[:, None, None] * turn))
