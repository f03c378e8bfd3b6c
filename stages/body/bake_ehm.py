"""Make the ehm body file from the user's SMPL-X and FLAME: FLAME's head on SMPL-X's body (GUAVA's EHM, EMOSH 3.1).

The published model (Pixel-Talk/EHM-Tracker, `EHM.py`) works in steps. FLAME is posed alone: shape, expression, jaw,
eyes; eyelids are added; the result is scaled about its origin. It then replaces the vertices that both models share on
the shaped SMPL-X template, with the midpoints of the two eye joints aligned. Hands are scaled. SMPL-X's skinning, with
jaw and eyes at rest, poses the whole mesh. This module expresses the same as one model that is linear at rest, so that
every solver and renderer runs it unchanged:

- a column of body shape moves the head with the eye joints only; a column of head shape moves it relative to them;
- FLAME's jaw and eyes become SMPL-X's joints of these names, with FLAME's positions, skinning and pose correctives;
- vertices that moved with SMPL-X's own face joints follow the head joint.

It equals the published model at head_scale 1 with a closed mouth (tests/body/test_bake_ehm.py: 0.01 mm). Three
differences: the published model regresses the body's joints from the mesh with expression, here an expression moves no
joint (1.5 mm); a vertex that depends on the jaw and on a bent neck opens with the head alone (at most 2.5 mm);
head_scale does not multiply head shape.
Metres, SMPL-X's rest frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.npz import write_npz
from stages.body.body_arrays import BodyParts, arrays_of
from stages.body.ehm_points import with_keypoints, with_vertex_sets
from stages.body.joint_regressor import least_norm
from stages.body.licensed import Arrays, read_licensed
from stages.body.shape_space import Rows, hand_scale_direction
from stages.body.smplx_layout import joint
from stages.body.vertex_sets import part_of_vertices
from stages.errors import InputError
from stages.progress import Progress, silent

NUM_BETAS, NUM_HEAD_BETAS = 100, 198
"""Shape columns kept of SMPL-X and of FLAME; with the two scales they fill the 300 columns of the file layout."""
NUM_EXPRESSION = 50
"""Number of FLAME's expressions in EHM; the eyelid columns follow them."""
FLAME_SHAPES = 300
JAW_AND_EYES = (joint("jaw"), joint("left_eye_smplhf"), joint("right_eye_smplhf"))
BODY_EYES = JAW_AND_EYES[1:]
FLAME_JAW, FLAME_EYES = 2, (3, 4)
JOINT_ERROR_M = 1e-3


@dataclass(frozen=True)
class Head:
    """FLAME's vertices that replace SMPL-X's."""

    smplx_vertices: Int[np.ndarray, "head"]
    """Their vertex numbers in SMPL-X."""
    flame_vertices: Int[np.ndarray, "head"]
    """Their vertex numbers in FLAME."""


def bake_ehm(folder: Path, path: Path, progress: Progress = silent) -> tuple[str, ...]:
    """Write the ehm body to `path` from the files in `folder`; return the names of optional files that are absent.

    Raises InputError when a required file is absent, or when the files do not fit each other.
    """
    from threadpoolctl import threadpool_limits

    from stages.body.licensed import LICENSED

    files = read_licensed(folder)
    with threadpool_limits(1):
        progress("baking the body: fusing SMPL-X and FLAME", 0, 3)
        geometry = fuse(files)
        progress("baking the body: face landmarks", 1, 3)
        finished = with_keypoints(geometry, files, progress)
        progress("baking the body: writing", 2, 3)
        write_npz(path, arrays_of(finished))
        progress("baking the body: writing", 3, 3)
    return tuple(row.name for row in LICENSED if row.name not in files)


def fuse(files: dict[str, Arrays]) -> BodyParts:
    """The fused model without keypoints: template, shape, expressions, joints, skinning, pose correctives, sets."""
    body, flame = files["smplx"], files["flame"]
    head = _head(files)
    betas = min(NUM_BETAS, body["shapedirs"].shape[2])
    template = body["v_template"].astype(np.float64)
    shift = _eye_midpoint(body["J_regressor"], BODY_EYES) @ template
    shift = shift - _eye_midpoint(flame["J_regressor"], FLAME_EYES) @ flame["v_template"]
    template[head.smplx_vertices] = flame["v_template"][head.flame_vertices] + shift
    directions = np.concatenate(
        [
            _body_shape(body, head, betas),
            _on_head(body, head, _relative_to_eyes(flame, slice(0, NUM_HEAD_BETAS))),
            _on_head(body, head, flame["v_template"][..., None].astype(np.float64)),
            _hand_scale_direction(files, template)[..., None],
        ],
        axis=2,
    )
    expressions, names = _expressions(files, head)
    weights = _weights(body, flame, head)
    joints = _joint_rows(body, flame, template, directions, betas)
    geometry = BodyParts(
        name="ehm",
        v_template=template,
        directions=directions,
        expressions=expressions,
        expression_names=names,
        J_regressor=_corrected_regressor(
            body["J_regressor"].astype(np.float64), template, directions, expressions, joints
        ),
        weights=weights,
        faces=body["f"],
        part=part_of_vertices(weights),
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
    return with_vertex_sets(geometry, files)


def _head(files: dict[str, Arrays]) -> Head:
    ids = files["flame-ids"]["ids"]
    kept = np.ones(len(ids), bool)
    if "flame-lowerhead" in files:
        kept[files["flame-lowerhead"]["ids"]] = False
    return Head(ids[kept], np.flatnonzero(kept))


def _eye_midpoint(regressor: np.ndarray, eyes: tuple[int, ...]) -> Float[np.ndarray, "vertices"]:
    """The midpoint of the two eye joints as weights over vertices."""
    return regressor[list(eyes)].mean(0).astype(np.float64)


def _body_shape(body: Arrays, head: Head, betas: int) -> Float[np.ndarray, "vertices 3 betas"]:
    """SMPL-X's shape columns; the head moves as a whole, with the midpoint of the eye joints."""
    columns = body["shapedirs"][:, :, :betas].astype(np.float64)
    middle = _eye_midpoint(body["J_regressor"], BODY_EYES)
    columns[head.smplx_vertices] = np.einsum("v,vcb->cb", middle, columns)
    return columns


def _relative_to_eyes(flame: Arrays, columns: slice) -> Float[np.ndarray, "vertices 3 columns"]:
    """FLAME's columns relative to the midpoint of its eye joints."""
    chosen = flame["shapedirs"][:, :, columns].astype(np.float64)
    middle = _eye_midpoint(flame["J_regressor"], FLAME_EYES)
    return chosen - np.einsum("v,vcb->cb", middle, chosen)


def _on_head(body: Arrays, head: Head, flame_columns: Float[np.ndarray, "flame 3 columns"]) -> np.ndarray:
    """Columns over FLAME's vertices as columns over all vertices; zero outside the head."""
    columns = np.zeros((len(body["v_template"]), 3, flame_columns.shape[2]))
    columns[head.smplx_vertices] = flame_columns[head.flame_vertices]
    return columns


def _hand_scale_direction(files: dict[str, Arrays], template: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
    """Hands grown about the mean of their vertices, as published; without the vertex list, about the wrists, fading."""
    if "hand-ids" not in files:
        body = files["smplx"]
        mean = Rows(template[None], (body["J_regressor"] @ template)[None])
        return hand_scale_direction(mean, body["weights"]).vertices[0]
    growth = np.zeros_like(template)
    for hand in files["hand-ids"].values():
        growth[hand] = template[hand] - template[hand].mean(0)
    return growth


def _expressions(files: dict[str, Arrays], head: Head) -> tuple[np.ndarray, tuple[str, ...]]:
    """FLAME's expressions, then one column for each eyelid file that is installed: 1 is closed."""
    body, flame = files["smplx"], files["flame"]
    columns = _relative_to_eyes(flame, slice(FLAME_SHAPES, FLAME_SHAPES + NUM_EXPRESSION))
    names = [f"expression_{number:02d}" for number in range(columns.shape[2])]
    for side in ("left", "right"):
        if f"eyelid-{side}" in files:
            columns = np.concatenate([columns, files[f"eyelid-{side}"]["offsets"][..., None]], 2)
            names.append(f"eyeBlink{side.title()}")
    return _on_head(body, head, columns), tuple(names)


def _weights(body: Arrays, flame: Arrays, head: Head) -> Float[np.ndarray, "vertices 55"]:
    """SMPL-X's skinning with its face joints added to the head; jaw and eyes then take FLAME's share of it.

    They take at most the weight of the head, so that a face at rest moves as in SMPL-X.
    """
    weights = body["weights"].astype(np.float64)
    weights[:, joint("head")] += weights[:, list(JAW_AND_EYES)].sum(1)
    weights[:, list(JAW_AND_EYES)] = 0
    share = flame["weights"][head.flame_vertices][:, [FLAME_JAW, *FLAME_EYES]].astype(np.float64)
    head_weight = weights[head.smplx_vertices, joint("head")]
    share *= np.minimum(1, head_weight / np.maximum(share.sum(1), 1e-9))[:, None]
    weights[head.smplx_vertices, joint("head")] = head_weight - share.sum(1)
    weights[head.smplx_vertices[:, None], list(JAW_AND_EYES)] = share
    return weights


def _pose_correctives(body: Arrays, flame: Arrays, head: Head) -> Float[np.ndarray, "vertices 3 486"]:
    """SMPL-X's correctives for body and hand joints, FLAME's for jaw and eyes. FLAME's neck never moves in EHM."""
    correctives = body["posedirs"].astype(np.float64)
    for place, number in enumerate(JAW_AND_EYES, start=1):
        columns = slice(9 * (number - 1), 9 * number)
        correctives[:, :, columns] = 0
        correctives[head.smplx_vertices, :, columns] = flame["posedirs"][
            head.flame_vertices, :, 9 * place : 9 * place + 9
        ]
    return correctives


def _joint_rows(
    body: Arrays, flame: Arrays, template: np.ndarray, directions: np.ndarray, betas: int
) -> Float[np.ndarray, "55 3 rows"]:
    """Joint positions at rest, then what each shape column adds. Jaw and eyes are FLAME's."""
    rows = np.concatenate([template[..., None], directions], 2)
    joints = np.einsum("jv,vcr->jcr", body["J_regressor"].astype(np.float64), rows, optimize=True)
    regressor = flame["J_regressor"][[FLAME_JAW, *FLAME_EYES]].astype(np.float64)
    shape, head_end = slice(1, 1 + betas), 1 + betas + NUM_HEAD_BETAS
    middle = _eye_midpoint(body["J_regressor"], BODY_EYES)
    flame_middle = regressor[1:].mean(0)
    face_joints = np.zeros((3, 3, rows.shape[2]))
    face_joints[..., 0] = (regressor - flame_middle) @ flame["v_template"] + middle @ body["v_template"]
    face_joints[..., shape] = np.einsum("v,vcb->cb", middle, body["shapedirs"][:, :, :betas])
    head_columns = flame["shapedirs"][:, :, :NUM_HEAD_BETAS]
    face_joints[..., 1 + betas : head_end] = np.einsum(
        "jv,vcb->jcb", regressor - flame_middle, head_columns, optimize=True
    )
    face_joints[..., head_end] = regressor @ flame["v_template"]
    joints[list(JAW_AND_EYES)] = face_joints
    return joints


def _corrected_regressor(
    regressor: Float[np.ndarray, "55 vertices"],
    template: np.ndarray,
    directions: np.ndarray,
    expressions: np.ndarray,
    joints: Float[np.ndarray, "55 3 rows"],
) -> Float[np.ndarray, "55 vertices"]:
    """SMPL-X's joint regressor, corrected where it would follow an expression or miss a FLAME joint.

    A corrected row is the original row plus the smallest weights near the joint that remove its error. Raises
    InputError when an error above JOINT_ERROR_M remains.
    """
    rows = np.concatenate([template[..., None], directions, expressions], 2)
    targets = np.concatenate([joints, np.zeros((55, 3, expressions.shape[2]))], 2)
    used = np.abs(rows).max((0, 1)) > 0  # columns that a model lacks are zero
    rows, targets = rows[..., used], targets[..., used]
    missed = targets - np.einsum("jv,vcr->jcr", regressor, rows, optimize=True)
    changed = regressor.copy()
    for number in np.flatnonzero(np.abs(missed).max((1, 2)) > 1e-6):
        place = targets[number, :, 0]
        ease = 1.0 / (np.linalg.norm(template - place, axis=1) + 0.02)
        centred = rows.copy()
        centred[..., 0] -= place  # scales the two conditions alike: weights sum to 1, mean joint is met
        system = np.concatenate([centred.transpose(2, 1, 0).reshape(-1, len(template)), np.ones((1, len(template)))])
        target = np.append(np.concatenate([np.zeros((1, 3)), targets[number, :, 1:].T]), 1.0)
        changed[number] += ease * least_norm(system * ease, target - system @ regressor[number])
    error = np.abs(targets - np.einsum("jv,vcr->jcr", changed, rows, optimize=True)).max()
    if error > JOINT_ERROR_M:
        raise InputError(
            f"the SMPL-X and FLAME files do not fit each other: a joint would be {1e3 * error:.1f} mm off; "
            "check their versions with: emosh models list"
        )
    return changed
