"""Recognise which tracker wrote a file, and read its rows (notes/users 3c lists each layout).

A format is recognised by its keys, never by the file name. A new format needs one row in FORMATS and one function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from stages.errors import InputError
from stages.priors.archives import read_archive
from stages.priors.prior import Prior

FORMATS: dict[str, tuple[tuple[str, ...], str]] = {
    "emosh": (("emosh_kind", "poses", "trans"), "stages.priors.bodies:emosh_motion"),
    "gvhmr": (("smpl_params_incam",), "stages.priors.bodies:gvhmr"),
    "ehm-tracker": (("body_pose", "camera_RT_params"), "stages.priors.bodies:ehm_tracker"),
    "hamer": (("pred_mano_params",), "stages.priors.hands_and_faces:hamer"),
    "hamer, flat": (("hand_pose", "global_orient"), "stages.priors.hands_and_faces:hamer"),
    "teaser": (("jaw_params",), "stages.priors.hands_and_faces:teaser"),
    "amass": (("poses", "trans"), "stages.priors.bodies:amass"),
    "smplx": (("global_orient", "body_pose"), "stages.priors.bodies:smplx_rows"),
}
"""Format -> keys that identify it, and the function that reads it. The first match is used."""
MHR_KEYS = ("mhr_model_params", "body_pose_params", "model_parameters")
SMPLER_X = re.compile(r"(\d+)_(\d+)\.npz")


def read_prior(path: Path) -> Prior:
    """Read the file of any known tracker, or SMPLer-X's folder of {frame}_{box}.npz.

    Raises InputError for a file that is absent, damaged, a pickle, or of unknown layout (the message lists its keys).
    """
    path = Path(path)
    arrays = _smpler_x(path) if path.is_dir() else read_archive(path)
    for keys, reader in FORMATS.values():
        if all(key in arrays for key in keys):
            return _checked(path, _load(reader), arrays)
    if any(key in arrays for key in MHR_KEYS):
        raise InputError(
            f"{path} holds MHR parameters (SAM-3D-Body), whose joints are not those of SMPL-X; convert them with MHR's "
            "Conversion.convert_sam3d_output_to_smpl (facebookresearch/MHR, tools/mhr_smpl_conversion) and give "
            "the resulting global_orient, body_pose npz"
        )
    listed = ", ".join(sorted(map(str, arrays))[:8])
    known = ", ".join(dict.fromkeys(name.split(",")[0] for name in FORMATS))
    raise InputError(f"{path} is of no known layout (its keys: {listed}); known layouts are {known}")


def _checked(path: Path, reader: Callable[[Mapping[str, Any]], Prior], arrays: Mapping[str, Any]) -> Prior:
    try:
        prior = reader(arrays)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path}: an array is missing or has another shape than its tracker writes: {error}"
        ) from error
    if not len(prior):
        raise InputError(f"{path} has no rows")
    return prior


def _load(target: str) -> Callable[[Mapping[str, Any]], Prior]:
    module, name = target.split(":")
    return getattr(import_module(module), name)


def _smpler_x(folder: Path) -> dict[str, Any]:
    """The rows of box 0 (the first person), in order of frames."""
    found = {}
    for file in folder.iterdir():
        match = SMPLER_X.fullmatch(file.name)
        if match and int(match[2]) == 0:
            found[int(match[1])] = file
    if not found:
        raise InputError(f"{folder} holds no FRAME_BOX.npz files, as SMPLer-X writes them")
    rows = [read_archive(found[frame]) for frame in sorted(found)]
    shared = set(rows[0]).intersection(*rows[1:])
    # SMPLer-X numbers its frames from 1, as ffmpeg does when it unpacks a video
    first = 1 if 0 not in found else 0
    stacked = {key: np.stack([np.asarray(row[key]).reshape(-1) for row in rows]) for key in shared}
    return stacked | {"frame_index": np.array(sorted(found)) - first}
