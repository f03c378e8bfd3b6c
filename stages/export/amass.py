"""A motion with AMASS's SMPL-X keys, as Blender's SMPL-X add-on reads it: upright, on the floor, at a whole frame rate.

`betas` belong to the body file that the motion was fitted on, not to the licensed SMPL-X. So a reader that applies them
to SMPL-X shows another body shape.
"""

from __future__ import annotations

import numpy as np

from stages.artifacts.motion import Motion, expected_notes
from stages.artifacts.provenance import Provenance
from stages.body.model import Body
from stages.export.upright import upright_motion, whole_frame_rate
from stages.progress import Progress, silent


def to_amass(motion: Motion, body: Body, fps: int | None = None, progress: Progress = silent) -> dict[str, np.ndarray]:
    """Arrays of an AMASS .npz at `fps` frames per second (None: the motion's own rate, rounded).

    Raises InputError for a motion of another body file.
    """
    rate = whole_frame_rate(motion, fps)
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
        "emosh_shot": samples.shot,
        "emosh_camera_rotvec": samples.camera_rotvec,
        "emosh_camera_trans": samples.camera_trans,
        "emosh_camera_yfov": samples.yfov,
        "emosh_provenance": np.array(export_provenance(motion, body, "amass", {"fps": rate}).to_json()),
    }


def export_provenance(motion: Motion, body: Body, to: str, config: dict) -> Provenance:
    """Provenance of an export in the format `to`."""
    return Provenance(
        "export",
        config={"to": to, **config},
        inputs={"motion": motion.provenance.fingerprint()},
        weights={"body": body.sha256},
        notes={
            "source": motion.provenance.notes.get("source"),
            "coordinates": "y up, metres, world of the motion",
            "camera": motion.world.said(motion.shots, motion.K),
            **expected_notes(motion),
        },
    )
