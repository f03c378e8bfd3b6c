"""Readers of priors of single parts: HaMeR's hands; jaw, eyelids and FLAME expression of TEASER and SMIRK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.body.rotations import rotvec_from_matrix
from stages.priors.prior import EXPRESSIONS, HANDS, JAW, Prior, empty_prior, rotations

MIRROR = np.diag([-1.0, 1.0, 1.0])
"""HaMeR estimates every hand as a right hand; a left hand is the mirror image."""


def hamer(arrays: Mapping[str, Any]) -> Prior:
    """HaMeR's outputs, stacked: global_orient (N,1,3,3), hand_pose (N,15,3,3) or axis-angles, `right` (N) and
    `frame_index` (N). The finger order of MANO is that of SMPL-X. Rotations are relative to the flat hand (MANOLayer
    adds no mean).
    """
    params = arrays.get("pred_mano_params", arrays)
    fingers, orient = _matrices(params["hand_pose"], 15), _matrices(params["global_orient"], 1)[:, 0]
    is_right = np.asarray(arrays["right" if "right" in arrays else "is_right"]).reshape(-1) > 0.5
    frames = np.asarray(arrays["frame_index"]).reshape(-1).astype(int) if "frame_index" in arrays else None
    if frames is None:
        if is_right.any() and not is_right.all():
            raise KeyError("frame_index: left and right hands in one file need frame numbers")
        frames = np.arange(len(is_right))
    numbers = np.unique(frames)
    prior = empty_prior("hamer", len(numbers), numbers)
    for side, chosen in (("left", ~is_right), ("right", is_right)):
        rows = np.searchsorted(numbers, frames[chosen])
        turns, palm = fingers[chosen], orient[chosen]
        if side == "left":
            turns, palm = MIRROR @ turns @ MIRROR, MIRROR @ palm @ MIRROR
        prior.joints[rows, HANDS[side]] = rotvec_from_matrix(turns)
        prior.wrists[rows, int(side == "right")] = palm
    return prior


def teaser(arrays: Mapping[str, Any]) -> Prior:
    """TEASER's or SMIRK's rows: jaw_params (N,3), eyelid_params (N,2), and FLAME's expression_params (N,50). A fit uses
    the expression on the ehm body only: on another head its coefficients have no meaning.
    """
    jaw = np.asarray(arrays["jaw_params"], float).reshape(-1, 3)
    frames = np.asarray(arrays["frame_index"]).reshape(-1).astype(int) if "frame_index" in arrays else None
    prior = empty_prior("teaser", len(jaw), frames)
    prior.joints[:, JAW] = jaw
    if "eyelid_params" in arrays:
        prior.eyelids[:] = np.clip(np.asarray(arrays["eyelid_params"], float).reshape(-1, 2), 0, 1)
    set_expression(prior, arrays)
    return prior


def set_expression(prior: Prior, arrays: Mapping[str, Any]) -> None:
    """Copy FLAME's expression_params into the prior, at most `EXPRESSIONS` of them."""
    if "expression_params" in arrays:
        values = np.asarray(arrays["expression_params"], float).reshape(len(prior), -1)[:, :EXPRESSIONS]
        prior.expression[:, : values.shape[1]] = values


def _matrices(values: Any, count: int) -> Float[np.ndarray, "rows count 3 3"]:
    """Rotation matrices from (N, count, 3, 3) or from axis-angles (N, count * 3)."""
    array = np.asarray(values, float)
    if array.shape[-2:] == (3, 3):
        return array.reshape(-1, count, 3, 3)
    return rotations(array.reshape(-1, count, 3))
