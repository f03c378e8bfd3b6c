"""A motion in AMASS's SMPL-X keys, as Blender's SMPL-X add-on reads it: upright, on the floor, at a whole frame rate.

Which bones a reader gives these angles to is not known here: `betas` are those of the body file that the motion was
fitted on, not those of the licensed SMPL-X.
"""

from __future__ import annotations

import numpy as np

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import Provenance
from stages.body.model import Body
from stages.export.upright import upright_motion, whole_rate
from stages.progress import Progress, silent


def to_amass(motion: Motion, body: Body, fps: int | None = None, progress: Progress = silent) -> dict[str, np.ndarray]:
    """Arrays of an AMASS .npz at `fps` frames a second (None: the motion's own rate, rounded).

    Raises InputError for a motion of another body file.
    """
    rate = whole_rate(motion, fps)
    samples = upright_motion(motion, body, rate, progress)
    poses = samples.poses
    return {
        "trans": samples.trans,
        "poses": poses,
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "pose_jaw": poses[:, 66:69],
        "pose_eye": poses[:, 69:75],
        "pose_hand": poses[:, 75:165],
        "betas": motion.betas.astype(np.float32),
        "num_betas": np.array(len(motion.betas)),
        "gender": np.array("neutral"),
        "surface_model_type": np.array("smplx"),
        "mocap_frame_rate": np.array(float(rate)),
        "mocap_time_length": np.array(len(samples) / rate),
        "expression": samples.expression,
        "expressions": samples.expression,
        "emosh_kind": np.array("amass"),
        "emosh_head_betas": motion.head_betas.astype(np.float32),
        "emosh_valid": samples.valid,
        "emosh_provenance": np.array(record(motion, body, "amass", {"fps": rate}).to_json()),
    }


def record(motion: Motion, body: Body, to: str, config: dict) -> Provenance:
    """What an export was made from."""
    return Provenance(
        "export",
        config={"to": to, **config},
        inputs={"motion": motion.provenance.fingerprint()},
        weights={"body": body.sha256},
        notes={"source": motion.provenance.notes.get("source"), "coordinates": "y up, metres, level camera assumed"},
    )
