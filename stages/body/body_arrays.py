"""A body before it is written, and the arrays of its file: SMPL-X's keys, the keys that smplx needs, emosh's keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.keypoints import Keypoint
from stages.body.landmarks import Embedding
from stages.body.model import BODY, PART_NAMES, SET_NAMES, Body, body_from_arrays
from stages.body.shape_space import NUM_BETAS, NUM_HEAD_BETAS
from stages.body.smplx_layout import PARENTS

SHAPE_COLUMNS, EXPRESSION_COLUMNS = 300, 100


@dataclass(frozen=True)
class BodyParts:
    """All parts of a body that is being made; keypoints and landmarks may still be missing."""

    name: str
    v_template: Float[np.ndarray, "vertices 3"]
    directions: Float[np.ndarray, "vertices 3 shape"]
    expressions: Float[np.ndarray, "vertices 3 expression"]
    expression_names: tuple[str, ...]
    J_regressor: Float[np.ndarray, "55 vertices"]
    weights: Float[np.ndarray, "vertices 55"]
    faces: Int[np.ndarray, "faces 3"]
    part: Int[np.ndarray, "vertices"]
    sets: dict[str, Bool[np.ndarray, "vertices"]]
    coco: dict[str, Float[np.ndarray, "vertices"]]
    keypoints: tuple[Keypoint, ...]
    landmarks: Embedding | None
    source_vertex: Int[np.ndarray, "vertices"]
    """Number of each vertex in the source mesh."""
    source_pose: Float[np.ndarray, "165"]
    """Pose that brings the mean body back to the pose of the source mesh, where skinning is exact."""
    posedirs: Float[np.ndarray, "vertices 3 486"] | None = None
    num_betas: int = NUM_BETAS
    num_head_betas: int = NUM_HEAD_BETAS


def body_of(parts: BodyParts) -> Body:
    """A usable Body without a file."""
    return body_from_arrays(arrays_of(parts), Path(f"{parts.name}, unwritten"), "")


def arrays_of(parts: BodyParts) -> dict[str, np.ndarray]:
    """All arrays of the body file, checked against its schema."""
    arrays = _smplx_arrays(parts) | _smplx_extra_arrays(parts) | _emosh_arrays(parts)
    BODY.validate(arrays, "the body just baked")
    return arrays


def _smplx_arrays(parts: BodyParts) -> dict[str, np.ndarray]:
    count = len(parts.v_template)
    shapedirs = np.zeros((count, 3, SHAPE_COLUMNS + EXPRESSION_COLUMNS), np.float32)
    shapedirs[..., : parts.directions.shape[2]] = parts.directions
    shapedirs[..., SHAPE_COLUMNS : SHAPE_COLUMNS + parts.expressions.shape[2]] = parts.expressions
    tree = np.array([PARENTS, range(55)], np.int64)
    tree[0, 0] = 4294967295  # as in SMPL-X's own file; smplx sets -1 itself
    return {
        "v_template": parts.v_template.astype(np.float32),
        "shapedirs": shapedirs,
        "posedirs": np.zeros((count, 3, 486), np.float32)
        if parts.posedirs is None
        else parts.posedirs.astype(np.float32),
        "J_regressor": parts.J_regressor.astype(np.float32),
        "weights": parts.weights.astype(np.float32),
        "kintree_table": tree,
        "f": parts.faces.astype(np.int64),
    }


def _smplx_extra_arrays(parts: BodyParts) -> dict[str, np.ndarray]:
    """Other arrays that smplx needs: hand components (identity, zero mean), 51 + 17 face points."""
    hands = {f"hands_components{side}": np.eye(45, dtype=np.float32) for side in "lr"}
    hands |= {f"hands_mean{side}": np.zeros(45, np.float32) for side in "lr"}
    mark = parts.landmarks
    face = np.zeros(68, np.int64) if mark is None else mark.face[list(_DLIB_68)]
    weights = np.full((68, 3), 1 / 3) if mark is None else mark.barycentric[list(_DLIB_68)]
    return hands | {
        "lmk_faces_idx": face[17:],
        "lmk_bary_coords": weights[17:].astype(np.float32),
        "dynamic_lmk_faces_idx": np.tile(face[:17], (79, 1)),
        "dynamic_lmk_bary_coords": np.tile(weights[:17].astype(np.float32), (79, 1, 1)),
    }


def _emosh_arrays(parts: BodyParts) -> dict[str, np.ndarray]:
    rows = np.array([keypoint.weights for keypoint in parts.keypoints]).reshape(-1, len(parts.v_template))
    row, column = np.nonzero(np.abs(rows) > 1e-9)
    mark = parts.landmarks
    count = 0 if mark is None else len(mark.face)
    return {
        "emosh_kind": np.array(BODY.kind),
        "emosh_schema": np.array(BODY.version),
        "emosh_name": np.array(parts.name),
        "emosh_num_betas": np.array(parts.num_betas),
        "emosh_num_head_betas": np.array(parts.num_head_betas),
        "emosh_expression_names": np.array(parts.expression_names, dtype=np.str_),
        "emosh_keypoint_names": np.array([keypoint.name for keypoint in parts.keypoints], dtype=np.str_),
        "emosh_keypoint_joint": np.array([keypoint.joint for keypoint in parts.keypoints], np.int64),
        "emosh_keypoint_row": row.astype(np.int64),
        "emosh_keypoint_column": column.astype(np.int64),
        "emosh_keypoint_value": rows[row, column].astype(np.float32),
        "emosh_keypoint_sigma": np.array([keypoint.sigma_m for keypoint in parts.keypoints], np.float32),
        "lmk_face_idx": np.zeros(0, np.int64) if mark is None else mark.face.astype(np.int64),
        "lmk_b_coords": np.zeros((0, 3), np.float32) if mark is None else mark.barycentric.astype(np.float32),
        "landmark_indices": np.arange(count),
        "emosh_part": parts.part.astype(np.int64),
        "emosh_set_names": np.array(SET_NAMES, dtype=np.str_),
        "emosh_sets": np.array([parts.sets[name] for name in SET_NAMES]),
        "emosh_source_vertex": parts.source_vertex.astype(np.int64),
        "emosh_source_pose": parts.source_pose.astype(np.float32),
        "emosh_part_names": np.array(PART_NAMES, dtype=np.str_),
    }


_DLIB_68 = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""MediaPipe landmarks nearest to the 68 face points of dlib and SMPL-X, which smplx appends to its joints."""
