"""Readers of whole-body priors: GVHMR, EHM-Tracker, SMPLer-X and other SMPL-X rows, AMASS, emosh's own motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from stages.priors.hands_and_faces import set_expression
from stages.priors.prior import BODY_JOINTS, EYES, HANDS, JAW, Prior, empty_prior, rotations

PYTORCH3D_TO_OPENCV = np.diag([-1.0, -1.0, 1.0])
"""In PyTorch3D's view frame x points left and y points up."""


def emosh_motion(arrays: Mapping[str, Any]) -> Prior:
    """emosh's own motion.npz: all joints, and the root in the camera frame. Invalid rows become NaN."""
    prior = amass(arrays)
    poses = _rows(arrays["poses"], 165)
    valid = np.asarray(arrays["emosh_valid"], bool)
    root, joints = rotations(poses[:, :3]), prior.joints
    for columns, part in ((slice(0, 24), 0), (HANDS["left"], 2), (HANDS["right"], 3)):
        joints[~valid[:, part], columns] = np.nan
    root[~valid[:, 0]] = np.nan
    numbers = _frame_numbers(arrays["emosh_frame_index"])
    return replace(prior, format="emosh", root=root, joints=joints, frame_index=numbers, fps=None)


def amass(arrays: Mapping[str, Any]) -> Prior:
    """AMASS: joints only, because its root is given in a world frame, not in the camera frame."""
    poses = _rows(arrays["poses"], 165)
    rate = next((float(arrays[key]) for key in ("mocap_frame_rate", "mocap_framerate", "fps") if key in arrays), None)
    prior = empty_prior("amass", len(poses), fps=rate)
    prior.joints[:] = poses[:, 3:].reshape(-1, 54, 3)
    return prior


def gvhmr(arrays: Mapping[str, Any]) -> Prior:
    """GVHMR's hmr4d_results.pt: its SMPL-X body in the camera frame, one row per frame of the video."""
    params = arrays["smpl_params_incam"]
    return _body_prior("gvhmr", params["global_orient"], params["body_pose"])


def ehm_tracker(arrays: Mapping[str, Any]) -> Prior:
    """EHM-Tracker's rows (optim_tracking_ehm.pkl, converted): body, hands, jaw, eyelids and FLAME's expression. Its
    view matrix gives the root in the camera frame.
    """
    orient = rotations(_rows(arrays["global_pose"], 3))
    view = np.asarray(arrays["camera_RT_params"], float).reshape(-1, 3, 4)[..., :3]
    prior = _body_prior("ehm-tracker", arrays["global_pose"], arrays["body_pose"], arrays.get("frame_index"))
    prior.root[:] = PYTORCH3D_TO_OPENCV @ view @ orient
    _set_jaw_eyes_hands(prior, arrays)
    if "eyelid_params" in arrays or "eyelid" in arrays:
        prior.eyelids[:] = np.clip(_rows(arrays.get("eyelid_params", arrays.get("eyelid")), 2), 0, 1)
    set_expression(prior, arrays)
    return prior


def smplx_rows(arrays: Mapping[str, Any]) -> Prior:
    """SMPL-X parameters in the camera frame, one row per frame: SMPLer-X, converted MHR, and others.

    SMPLer-X's hands are offsets from SMPL-X's licensed mean hand (flat_hand_mean=False); unless the file says
    `flat_hand_mean`, its fingers are left out.
    """
    prior = _body_prior(
        "smplx", arrays["global_orient"], arrays["body_pose"], arrays.get("frame_index"), arrays.get("fps")
    )
    flat = bool(np.any(arrays.get("flat_hand_mean", False)))
    _set_jaw_eyes_hands(prior, arrays, hands=flat)
    return prior


def _frame_numbers(frame_index: Any) -> Int[np.ndarray, "rows"]:
    return np.asarray(frame_index).reshape(-1).astype(int)


def _body_prior(format: str, orient: Any, body_pose: Any, frame_index: Any = None, fps: Any = None) -> Prior:
    body = _rows(body_pose, 63)
    numbers = None if frame_index is None else _frame_numbers(frame_index)
    prior = empty_prior(format, len(body), numbers, None if fps is None else float(np.asarray(fps)))
    prior.root[:] = rotations(_rows(orient, 3))
    prior.joints[:, BODY_JOINTS] = body.reshape(-1, 21, 3)
    return prior


def _set_jaw_eyes_hands(prior: Prior, arrays: Mapping[str, Any], hands: bool = True) -> None:
    """Copy jaw, eyes and fingers into the prior, where the file has them."""
    for key in ("jaw_pose", "jaw_params"):
        if key in arrays:
            prior.joints[:, JAW] = _rows(arrays[key], 3)
    for number, key in enumerate(("leye_pose", "reye_pose")):
        if key in arrays and np.any(arrays[key]):  # SMPLer-X writes zeros for eyes, which it does not estimate
            prior.joints[:, EYES.start + number] = _rows(arrays[key], 3)
    for side, columns in HANDS.items() if hands else ():
        if f"{side}_hand_pose" in arrays:
            prior.joints[:, columns] = _rows(arrays[f"{side}_hand_pose"], 45).reshape(-1, 15, 3)


def _rows(values: Any, width: int) -> Float[np.ndarray, "rows width"]:
    """The values as (rows, width), for any nesting. Raises ValueError for another width."""
    array = np.asarray(values, float)
    if array.shape[-1:] == (3,) and array.ndim >= 2 and width > 3:
        array = array.reshape(*array.shape[:-2], -1)
    return array.reshape(-1, width)
