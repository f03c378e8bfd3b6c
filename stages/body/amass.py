"""A motion as other tools want it: upright, on the floor, at a whole frame rate, in AMASS's SMPL-X keys.

Frame: y up, x to the picture's right, z towards the camera, metres; the body faces +z as its rest pose does. The
camera is taken as level: a tilted one leaves the floor tilted. Which bones a reader gives these angles to is not
known here: `betas` are those of the body file that the motion was fitted on, not those of the licensed SMPL-X.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import Provenance
from stages.body.model import Body, motion_template, pose_motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.errors import InputError
from stages.progress import Progress, silent

UPRIGHT = np.diag([1.0, -1.0, -1.0])
"""OpenCV's camera axes to y up: half a turn about x."""
ROWS_AT_ONCE = 16


def to_amass(motion: Motion, body: Body, fps: int | None = None, progress: Progress = silent) -> dict[str, np.ndarray]:
    """Arrays of an AMASS .npz at `fps` frames a second (None: the motion's own rate, rounded).

    Angles are interpolated along the shortest turn, everything else linearly; validity is the nearer row's. Raises
    InputError for a motion of another body file.
    """
    if motion.body_sha256 != body.sha256:
        raise InputError(
            f"the motion was fitted on body '{motion.body_model}' ({motion.body_sha256[:12]}), but body "
            f"'{body.name}' ({body.sha256[:12]}) is in use; track it again with --body {body.name}"
        )
    rate = fps or max(1, round(motion.fps))
    poses, trans = upright(motion, body)
    trans[:, 1] -= _lowest(motion, body, progress)
    row, share = sampling(motion, rate)
    turned = _between_turns(poses.reshape(-1, 55, 3), row, share).reshape(-1, 165).astype(np.float32)
    expression = _between(motion.expression, row, share)
    record = Provenance(
        "export",
        config={"to": "amass", "fps": rate},
        inputs={"motion": motion.provenance.fingerprint()},
        weights={"body": body.sha256},
        notes={"source": motion.provenance.notes.get("source"), "coordinates": "y up, metres, level camera assumed"},
    )
    return {
        "trans": _between(trans, row, share),
        "poses": turned,
        "root_orient": turned[:, :3],
        "pose_body": turned[:, 3:66],
        "pose_jaw": turned[:, 66:69],
        "pose_eye": turned[:, 69:75],
        "pose_hand": turned[:, 75:165],
        "betas": motion.betas.astype(np.float32),
        "num_betas": np.array(len(motion.betas)),
        "gender": np.array("neutral"),
        "surface_model_type": np.array("smplx"),
        "mocap_frame_rate": np.array(float(rate)),
        "mocap_time_length": np.array(len(row) / rate),
        "expression": expression,
        "expressions": expression,
        "emosh_kind": np.array("amass"),
        "emosh_head_betas": motion.head_betas.astype(np.float32),
        "emosh_valid": motion.valid[np.where(share < 0.5, row, np.minimum(row + 1, len(motion) - 1))],
        "emosh_provenance": np.array(record.to_json()),
    }


def upright(motion: Motion, body: Body) -> tuple[Float[np.ndarray, "frames 165"], Float[np.ndarray, "frames 3"]]:
    """`poses` and `trans` with the whole person turned by UPRIGHT; smplx turns the root about the pelvis joint."""
    poses = motion.poses.astype(np.float64)
    poses[:, :3] = rotvec_from_matrix(UPRIGHT @ matrix_from_rotvec(poses[:, :3]))
    pelvis = body.J_regressor[0] @ motion_template(body, motion)
    return poses, (motion.trans + pelvis) @ UPRIGHT.T - pelvis


def sampling(motion: Motion, fps: int) -> tuple[np.ndarray, Float[np.ndarray, "samples"]]:
    """Row before each sample, and how far the sample lies from it towards the next, 0..1, by the rows' own times."""
    times = motion.pts_seconds - motion.pts_seconds[0]
    length = motion.duration_seconds or float(1 / (motion.fps or Fraction(1)))
    at = np.minimum(np.arange(max(1, round(length * fps))) / fps, times[-1])
    row = np.clip(np.searchsorted(times, at, side="right") - 1, 0, max(len(times) - 2, 0))
    if len(times) == 1:
        return row, np.zeros(len(at))
    return row, np.clip((at - times[row]) / np.maximum(times[row + 1] - times[row], 1e-9), 0, 1)


def _lowest(motion: Motion, body: Body, progress: Progress) -> float:
    """Height of the lowest point over all measured rows, y up, before it is put on the floor."""
    lowest = -np.inf
    for start in range(0, len(motion), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        seen = motion.valid[rows, 0] if motion.valid[:, 0].any() else np.ones(len(motion.trans[rows]), bool)
        if seen.any():
            lowest = max(lowest, float(pose_motion(body, motion, rows).vertices[seen, :, 1].max()))
        progress("finding the floor", min(start + ROWS_AT_ONCE, len(motion)), len(motion))
    return -lowest


def _between(values: np.ndarray, row: np.ndarray, share: np.ndarray) -> np.ndarray:
    following = np.minimum(row + 1, len(values) - 1)
    return (values[row] + share[:, None] * (values[following] - values[row])).astype(np.float32)


def _between_turns(rotvec: Float[np.ndarray, "frames 55 3"], row: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Slerp: the first rotation, turned on by a share of the shortest turn to the second."""
    matrices = matrix_from_rotvec(rotvec)
    first, second = matrices[row], matrices[np.minimum(row + 1, len(matrices) - 1)]
    turn = rotvec_from_matrix(first.swapaxes(-1, -2) @ second)
    return rotvec_from_matrix(first @ matrix_from_rotvec(share[:, None, None] * turn))
