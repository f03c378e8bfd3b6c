"""Make the ehm body file from the user's SMPL-X and FLAME: FLAME's head on SMPL-X's body (GUAVA's EHM, EMOSH 3.1).

Published (Pixel-Talk/EHM-Tracker, `EHM.py`): FLAME is posed alone (shape, expression, jaw, eyes; eyelids added, then
scaled about its origin), put on the shaped SMPL-X template where the middles of the two eye joints meet, in place of
the vertices that both models share, hands are scaled, and SMPL-X's skinning with still jaw and eyes does the rest.
Here the same is said in one model that is linear at rest, so that every solver and renderer runs it unchanged:

- a column of body shape moves the head by the eye joints only; a column of head shape moves the head relative to them;
- FLAME's jaw and eyes become SMPL-X's joints of these names, with FLAME's places, skinning and pose correctives;
- what SMPL-X's own face joints moved follows the head joint.

Equal to the published one at head_scale 1 with a shut mouth (tests/body/test_bake_ehm.py: 0.01 mm). Not the same: there
the body's joints are regressed from the grimacing mesh, here a grimace moves no joint (1.5 mm); where a vertex hangs on
the jaw and on a bent neck, it opens with the head alone (2.5 mm at the most); head_scale does not multiply head shape.
Metres, SMPL-X's rest frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.npz import write_npz
from stages.body.body_arrays import BodyParts, arrays_of
from stages.body.ehm_points import ehm_sets, with_points
from stages.body.joint_regressor import least_norm
from stages.body.licensed import Arrays, read_licensed
from stages.body.shape_space import Rows, hand_growth
from stages.body.smplx_layout import joint
from stages.body.vertex_sets import parts
from stages.errors import InputError
from stages.progress import Progress, silent

NUM_BETAS, NUM_HEAD_BETAS = 100, 198
"""Shape columns kept of SMPL-X and of FLAME: all that the file layout's 300 hold beside the two scales."""
NUM_EXPRESSION = 50
"""FLAME's expressions in EHM; the eyelids follow them."""
FLAME_SHAPES = 300
JAW_AND_EYES = (joint("jaw"), joint("left_eye_smplhf"), joint("right_eye_smplhf"))
BODY_EYES = JAW_AND_EYES[1:]
FLAME_JAW, FLAME_EYES = 2, (3, 4)
JOINT_ERROR_M = 1e-3


@dataclass(frozen=True)
class Head:
    """FLAME's vertices that take the place of SMPL-X's."""

    taken: Int[np.ndarray, "head"]
    """Their SMPL-X numbers."""
    vertices: Int[np.ndarray, "head"]
    """Their FLAME numbers."""


def bake_ehm(folder: Path, path: Path, progress: Progress = silent) -> tuple[str, ...]:
    """Write the ehm body to `path` from the files in `folder`; returns the names of optional files that were absent.

    Raises InputError when a required file is absent, or the files do not fit each other.
    """
    from threadpoolctl import threadpool_limits

    from stages.body.licensed import LICENSED

    files = read_licensed(folder)
    with threadpool_limits(1):
        progress("baking the body: fusing SMPL-X and FLAME", 0, 3)
        geometry = fuse(files)
        progress("baking the body: face landmarks", 1, 3)
        finished = with_points(geometry, files, progress)
        progress("baking the body: writing", 2, 3)
        write_npz(path, arrays_of(finished))
        progress("baking the body: writing", 3, 3)
    return tuple(row.name for row in LICENSED if row.name not in files)


def fuse(files: dict[str, Arrays]) -> BodyParts:
    """Template, shape, expressions, joints, skinning and pose correctives of the fused model; no keypoints yet."""
    body, flame = files["smplx"], files["flame"]
    head = _head(files)
    betas = min(NUM_BETAS, body["shapedirs"].shape[2])
    template = body["v_template"].astype(np.float64)
    shift = _between_eyes(body["J_regressor"], BODY_EYES) @ template
    shift = shift - _between_eyes(flame["J_regressor"], FLAME_EYES) @ flame["v_template"]
    template[head.taken] = flame["v_template"][head.vertices] + shift
    directions = np.concatenate(
        [
            _body_shape(body, head, betas),
            _on_head(body, head, _relative(flame, slice(0, NUM_HEAD_BETAS))),
            _on_head(body, head, flame["v_template"][..., None].astype(np.float64)),
            _hand_scale(files, template)[..., None],
        ],
        axis=2,
    )
    expressions, names = _expressions(files, head)
    weights = _weights(body, flame, head)
    wanted = _joints(body, flame, template, directions, betas)
    geometry = BodyParts(
        name="ehm",
        v_template=template,
        directions=directions,
        expressions=expressions,
        expression_names=names,
        J_regressor=_blind(body["J_regressor"].astype(np.float64), template, directions, expressions, wanted),
        weights=weights,
        faces=body["f"],
        part=parts(weights),
        sets={},
        coco={},
        keypoints=(),
        landmarks=None,
        source_vertex=np.arange(len(template)),
        source_pose=np.zeros(165),
        posedirs=_pose_correctives(body, flame, head),
        num_betas=betas,
        num_head_betas=NUM_HEAD_BETAS,
    )
    return ehm_sets(geometry, files)


def _head(files: dict[str, Arrays]) -> Head:
    ids = files["flame-ids"]["ids"]
    kept = np.ones(len(ids), bool)
    if "flame-lowerhead" in files:
        kept[files["flame-lowerhead"]["ids"]] = False
    return Head(ids[kept], np.flatnonzero(kept))


def _between_eyes(regressor: np.ndarray, eyes: tuple[int, ...]) -> Float[np.ndarray, "vertices"]:
    """The middle of the two eye joints as weights over vertices."""
    return regressor[list(eyes)].mean(0).astype(np.float64)


def _body_shape(body: Arrays, head: Head, betas: int) -> Float[np.ndarray, "vertices 3 betas"]:
    """SMPL-X's shape columns; the head only follows its eye joints."""
    columns = body["shapedirs"][:, :, :betas].astype(np.float64)
    middle = _between_eyes(body["J_regressor"], BODY_EYES)
    columns[head.taken] = np.einsum("v,vcb->cb", middle, columns)
    return columns


def _relative(flame: Arrays, columns: slice) -> Float[np.ndarray, "vertices 3 columns"]:
    """FLAME's columns relative to the middle of its eye joints."""
    chosen = flame["shapedirs"][:, :, columns].astype(np.float64)
    middle = _between_eyes(flame["J_regressor"], FLAME_EYES)
    return chosen - np.einsum("v,vcb->cb", middle, chosen)


def _on_head(body: Arrays, head: Head, of_flame: Float[np.ndarray, "flame 3 columns"]) -> np.ndarray:
    """Columns over FLAME's vertices as columns over all, zero off the head."""
    columns = np.zeros((len(body["v_template"]), 3, of_flame.shape[2]))
    columns[head.taken] = of_flame[head.vertices]
    return columns


def _hand_scale(files: dict[str, Arrays], template: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
    """Hands grown about the middle of their vertices, as published; without their list, about the wrists, fading."""
    if "hand-ids" not in files:
        body = files["smplx"]
        mean = Rows(template[None], (body["J_regressor"] @ template)[None])
        return hand_growth(mean, body["weights"]).vertices[0]
    growth = np.zeros_like(template)
    for hand in files["hand-ids"].values():
        growth[hand] = template[hand] - template[hand].mean(0)
    return growth


def _expressions(files: dict[str, Arrays], head: Head) -> tuple[np.ndarray, tuple[str, ...]]:
    """FLAME's expressions, then one column for each eyelid that is there: 1 is closed."""
    body, flame = files["smplx"], files["flame"]
    columns = _relative(flame, slice(FLAME_SHAPES, FLAME_SHAPES + NUM_EXPRESSION))
    names = [f"expression_{number:02d}" for number in range(columns.shape[2])]
    for side in ("left", "right"):
        if f"eyelid-{side}" in files:
            columns = np.concatenate([columns, files[f"eyelid-{side}"]["offsets"][..., None]], 2)
            names.append(f"eyeBlink{side.title()}")
    return _on_head(body, head, columns), tuple(names)


def _weights(body: Arrays, flame: Arrays, head: Head) -> Float[np.ndarray, "vertices 55"]:
    """SMPL-X's skinning with its face joints folded into the head's; of that, jaw and eyes take what FLAME gives them.

    They take no more than the head has, so that a still face moves as SMPL-X moves it.
    """
    weights = body["weights"].astype(np.float64)
    weights[:, joint("head")] += weights[:, list(JAW_AND_EYES)].sum(1)
    weights[:, list(JAW_AND_EYES)] = 0
    share = flame["weights"][head.vertices][:, [FLAME_JAW, *FLAME_EYES]].astype(np.float64)
    of_head = weights[head.taken, joint("head")]
    share *= np.minimum(1, of_head / np.maximum(share.sum(1), 1e-9))[:, None]
    weights[head.taken, joint("head")] = of_head - share.sum(1)
    weights[head.taken[:, None], list(JAW_AND_EYES)] = share
    return weights


def _pose_correctives(body: Arrays, flame: Arrays, head: Head) -> Float[np.ndarray, "vertices 3 486"]:
    """SMPL-X's for the body's and hands' joints, FLAME's for jaw and eyes; FLAME's neck never moves in EHM."""
    correctives = body["posedirs"].astype(np.float64)
    for place, number in enumerate(JAW_AND_EYES, start=1):
        columns = slice(9 * (number - 1), 9 * number)
        correctives[:, :, columns] = 0
        correctives[head.taken, :, columns] = flame["posedirs"][head.vertices, :, 9 * place : 9 * place + 9]
    return correctives


def _joints(
    body: Arrays, flame: Arrays, template: np.ndarray, directions: np.ndarray, betas: int
) -> Float[np.ndarray, "55 3 rows"]:
    """Where the joints are to be: at rest, then what each shape column adds. FLAME says it of jaw and eyes."""
    rows = np.concatenate([template[..., None], directions], 2)
    joints = np.einsum("jv,vcr->jcr", body["J_regressor"].astype(np.float64), rows, optimize=True)
    regressor = flame["J_regressor"][[FLAME_JAW, *FLAME_EYES]].astype(np.float64)
    shape, head_end = slice(1, 1 + betas), 1 + betas + NUM_HEAD_BETAS
    middle = _between_eyes(body["J_regressor"], BODY_EYES)
    flame_middle = regressor[1:].mean(0)
    own = np.zeros((3, 3, rows.shape[2]))
    own[..., 0] = (regressor - flame_middle) @ flame["v_template"] + middle @ body["v_template"]
    own[..., shape] = np.einsum("v,vcb->cb", middle, body["shapedirs"][:, :, :betas])
    head_columns = flame["shapedirs"][:, :, :NUM_HEAD_BETAS]
    own[..., 1 + betas : head_end] = np.einsum("jv,vcb->jcb", regressor - flame_middle, head_columns, optimize=True)
    own[..., head_end] = regressor @ flame["v_template"]
    joints[list(JAW_AND_EYES)] = own
    return joints


def _blind(
    regressor: Float[np.ndarray, "55 vertices"],
    template: np.ndarray,
    directions: np.ndarray,
    expressions: np.ndarray,
    wanted: Float[np.ndarray, "55 3 rows"],
) -> Float[np.ndarray, "55 vertices"]:
    """SMPL-X's regressor, changed where it would follow an expression or miss a FLAME joint.

    A changed row is its own plus the smallest weights near the joint that correct it.
    """
    rows = np.concatenate([template[..., None], directions, expressions], 2)
    targets = np.concatenate([wanted, np.zeros((55, 3, expressions.shape[2]))], 2)
    used = np.abs(rows).max((0, 1)) > 0  # columns that a model does not have are zeros
    rows, targets = rows[..., used], targets[..., used]
    missed = targets - np.einsum("jv,vcr->jcr", regressor, rows, optimize=True)
    changed = regressor.copy()
    for number in np.flatnonzero(np.abs(missed).max((1, 2)) > 1e-6):
        place = targets[number, :, 0]
        ease = 1.0 / (np.linalg.norm(template - place, axis=1) + 0.02)
        about = rows.copy()
        about[..., 0] -= place  # so that "sums to 1" and "hits the mean" are well scaled
        system = np.concatenate([about.transpose(2, 1, 0).reshape(-1, len(template)), np.ones((1, len(template)))])
        aim = np.append(np.concatenate([np.zeros((1, 3)), targets[number, :, 1:].T]), 1.0)
        changed[number] += ease * least_norm(system * ease, aim - system @ regressor[number])
    error = np.abs(targets - np.einsum("jv,vcr->jcr", changed, rows, optimize=True)).max()
    if error > JOINT_ERROR_M:
        raise InputError(f"SMPL-X and FLAME do not fit each other: a joint would be {1e3 * error:.1f} mm off its place")
    return changed
