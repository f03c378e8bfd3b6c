"""The expressive human model at run time: one body file in SMPL-X's layout, one forward pass.

Rest pose: SMPL-X's T-pose, y up, facing +z, metres. Body shape (`betas`) and head shape (`head_betas`) are separate
columns of `shapedirs`; `head_scale` and `hand_scale` are two more. Expression offsets are multiplied by `head_scale`.
This module does not know how a body file is made (bake_open.py, bake_ehm.py) or where it is stored (store.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import shape_runs
from stages.artifacts.npz import opened_npz
from stages.artifacts.provenance import sha256_file
from stages.artifacts.schema import Field, Schema
from stages.body.rotations import matrix_from_rotvec
from stages.body.skinning import SparseWeights, skin

JOINT_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "jaw", "left_eye_smplhf",
    "right_eye_smplhf", "left_index1", "left_index2", "left_index3", "left_middle1", "left_middle2", "left_middle3",
    "left_pinky1", "left_pinky2", "left_pinky3", "left_ring1", "left_ring2", "left_ring3", "left_thumb1",
    "left_thumb2", "left_thumb3", "right_index1", "right_index2", "right_index3", "right_middle1", "right_middle2",
    "right_middle3", "right_pinky1", "right_pinky2", "right_pinky3", "right_ring1", "right_ring2", "right_ring3",
    "right_thumb1", "right_thumb2", "right_thumb3",
)  # fmt: skip
"""SMPL-X's 55 joints in the order and with the names of smplx."""

BODY = Schema(
    "body",
    1,
    (
        Field("v_template", "vertices 3", "float", "rest vertices of the mean shape"),
        Field(
            "shapedirs", "vertices 3 400", "float", "0:300 shape (betas | head_betas | scales | zeros), 300: expression"
        ),
        Field("posedirs", "vertices 3 486", "float", "pose correctives; all zero in the open body"),
        Field("J_regressor", "55 vertices", "float", "rest joints from rest vertices"),
        Field("weights", "vertices 55", "float", "skinning weights"),
        Field("kintree_table", "2 55", "int", "parents, own numbers"),
        Field("f", "faces 3", "int", "triangles, counter-clockwise from outside"),
        Field("emosh_kind", "", "text", "body"),
        Field("emosh_schema", "", "int", "version of this table"),
        Field("emosh_name", "", "text", "open or ehm"),
        Field("emosh_num_betas", "", "int", "body shape columns, the first of shapedirs"),
        Field("emosh_num_head_betas", "", "int", "head shape columns, after the betas; then head_scale and hand_scale"),
        Field("emosh_expression_names", "expression", "text", "names of the expression columns 300:"),
        Field("emosh_keypoint_names", "keypoints", "text", "face_000.., pose_00.., left_hand_00.., right_hand_00.."),
        Field("emosh_keypoint_joint", "keypoints", "int", "joint the keypoint is rigidly bound to, -1: skinned"),
        Field("emosh_keypoint_row", "entries", "int", "sparse regressor: keypoint"),
        Field("emosh_keypoint_column", "entries", "int", "sparse regressor: vertex"),
        Field("emosh_keypoint_value", "entries", "float", "sparse regressor: weight; rows sum to 1"),
        Field("emosh_keypoint_sigma", "keypoints", "float", "how well the keypoint matches the detector's, metres"),
        Field("lmk_face_idx", "landmarks", "int", "MediaPipe embedding, community layout: triangle"),
        Field("lmk_b_coords", "landmarks 3", "float", "MediaPipe embedding: barycentric coordinates"),
        Field("landmark_indices", "landmarks", "int", "MediaPipe embedding: which of the 478"),
        Field("emosh_part", "vertices", "int", "body part of each vertex, index into PART_NAMES"),
        Field("emosh_source_vertex", "vertices", "int", "number of each vertex in the mesh this body was made from"),
        Field("emosh_source_pose", "165", "float", "pose in which that mesh was modelled"),
        Field("emosh_set_names", "sets", "text", "named vertex sets, see SET_NAMES"),
        Field("emosh_sets", "sets vertices", "bool", "membership of each vertex in each named set"),
    ),
)

PART_NAMES = (
    "torso", "head", "left_arm", "right_arm", "left_hand", "right_hand", "left_leg", "right_leg", "left_foot",
    "right_foot",
)  # fmt: skip
"""Body parts without overlap: arm = upper + lower arm, leg = thigh + shin, torso with pelvis and neck."""

SET_NAMES = (
    "face_skin", "lips", "mouth_cavity", "tongue", "teeth", "left_eyeball", "right_eyeball", "left_iris", "right_iris",
    "left_eye_socket", "right_eye_socket", "left_eyelids", "right_eyelids", "left_brow", "right_brow",
)  # fmt: skip
"""Named vertex sets that drawing needs; a set may be empty if a body has no such vertices."""


@dataclass(frozen=True, eq=False)
class Body:
    """A loaded body file. Arrays are float32 and read-only by convention. A body is equal to itself only."""

    name: str
    sha256: str
    path: Path
    v_template: Float[np.ndarray, "vertices 3"]
    shapedirs: Float[np.ndarray, "vertices 3 shape"]
    """Columns: betas | head_betas | head_scale - 1 | hand_scale - 1."""
    exprdirs: Float[np.ndarray, "vertices 3 expression"]
    posedirs: Float[np.ndarray, "vertices 3 486"] | None
    """Pose correctives; None when all are zero."""
    J_regressor: Float[np.ndarray, "55 vertices"]
    weights: Float[np.ndarray, "vertices 55"]
    parents: Int[np.ndarray, "55"]
    faces: Int[np.ndarray, "faces 3"]
    num_betas: int
    num_head_betas: int
    expression_names: tuple[str, ...]
    keypoint_names: tuple[str, ...]
    keypoint_joint: Int[np.ndarray, "keypoints"]
    keypoint_row: Int[np.ndarray, "entries"]
    keypoint_column: Int[np.ndarray, "entries"]
    keypoint_value: Float[np.ndarray, "entries"]
    keypoint_sigma: Float[np.ndarray, "keypoints"]
    part: Int[np.ndarray, "vertices"]
    sets: dict[str, np.ndarray]
    """Set name -> boolean mask (vertices,)."""
    sparse_weights: SparseWeights
    """`weights` without zeros."""
    expressive: Int[np.ndarray, "moved"]
    """The vertices that any expression moves."""

    def part_vertices(self, *names: str) -> np.ndarray:
        """Boolean mask of the vertices of the named PART_NAMES."""
        return np.isin(self.part, [PART_NAMES.index(name) for name in names])


@dataclass(frozen=True)
class Posed:
    """A batch of posed bodies, in the frame of `transl` and `poses[:, :3]` (for a Motion: the OpenCV camera)."""

    vertices: Float[np.ndarray, "frames vertices 3"]
    joints: Float[np.ndarray, "frames 55 3"]
    transforms: Float[np.ndarray, "frames 55 3 4"]
    """Per joint, the map from points of the shaped T-pose to posed points; includes transl."""


def load_body(path: Path) -> Body:
    """Read a body file. Raises InputError for a missing or damaged file, or a file of another kind."""
    with opened_npz(path) as archive:
        archive.refuse_objects()
        arrays = archive.read_table(BODY, often_zero=("posedirs",))
    return body_from_arrays(arrays, Path(path), sha256_file(path))


def body_from_arrays(arrays: Mapping[str, np.ndarray], path: Path, sha256: str) -> Body:
    """The body of a valid set of body file arrays."""
    betas, head_betas = int(arrays["emosh_num_betas"]), int(arrays["emosh_num_head_betas"])
    names = tuple(str(name) for name in arrays["emosh_expression_names"])
    shapedirs = arrays["shapedirs"].astype(np.float32, copy=False)
    parents = arrays["kintree_table"][0].astype(np.int64)
    parents[0] = -1
    posedirs = arrays["posedirs"].astype(np.float32, copy=False)
    exprdirs = np.ascontiguousarray(shapedirs[:, :, 300 : 300 + len(names)])
    weights = arrays["weights"].astype(np.float32, copy=False)
    by_row = np.argsort(arrays["emosh_keypoint_row"], kind="stable")
    return Body(
        name=str(arrays["emosh_name"]),
        sha256=sha256,
        path=path,
        v_template=arrays["v_template"].astype(np.float32, copy=False),
        shapedirs=np.ascontiguousarray(shapedirs[:, :, : betas + head_betas + 2]),
        exprdirs=exprdirs,
        posedirs=posedirs if posedirs.any() else None,
        J_regressor=arrays["J_regressor"].astype(np.float32, copy=False),
        weights=weights,
        parents=parents,
        faces=arrays["f"].astype(np.int64),
        num_betas=betas,
        num_head_betas=head_betas,
        expression_names=names,
        keypoint_names=tuple(str(name) for name in arrays["emosh_keypoint_names"]),
        keypoint_joint=arrays["emosh_keypoint_joint"].astype(np.int64),
        keypoint_row=arrays["emosh_keypoint_row"][by_row].astype(np.int64),
        keypoint_column=arrays["emosh_keypoint_column"][by_row].astype(np.int64),
        keypoint_value=arrays["emosh_keypoint_value"][by_row].astype(np.float32, copy=False),
        keypoint_sigma=arrays["emosh_keypoint_sigma"].astype(np.float32, copy=False),
        part=arrays["emosh_part"].astype(np.int64),
        sets={str(name): row for name, row in zip(arrays["emosh_set_names"], arrays["emosh_sets"], strict=True)},
        sparse_weights=SparseWeights.of(weights),
        expressive=np.flatnonzero(np.abs(exprdirs).max((1, 2)) > 0),
    )


def shape_vector(
    body: Body, betas: np.ndarray, head_betas: np.ndarray, head_scale: float, hand_scale: float
) -> Float[np.ndarray, "shape"]:
    """Coefficients of `body.shapedirs`; shorter `betas` and `head_betas` are padded with zeros."""
    vector = np.zeros(body.shapedirs.shape[2], np.float32)
    vector[: len(betas)] = betas
    vector[body.num_betas : body.num_betas + len(head_betas)] = head_betas
    vector[-2:] = head_scale - 1.0, hand_scale - 1.0
    return vector


def shaped_template(body: Body, shape: Float[np.ndarray, "shape"]) -> Float[np.ndarray, "vertices 3"]:
    """Rest vertices of one person without expression."""
    return body.v_template + body.shapedirs @ shape


def pose_body(
    body: Body,
    template: Float[np.ndarray, "vertices 3"],
    poses: Float[np.ndarray, "frames 165"],
    transl: Float[np.ndarray, "frames 3"],
    expression: Float[np.ndarray, "frames expression"],
    head_scale: float = 1.0,
) -> Posed:
    """Skin one person's rest vertices: SMPL-X's forward pass (Pavlakos et al. 2019; smplx `lbs`).

    Joints are regressed from the template without expression, which the body file's regressor ignores.
    """
    rest = with_expression(body, template, head_scale * expression)
    if body.posedirs is not None:
        feature = (_rotations(poses)[:, 1:] - np.eye(3, dtype=np.float32)).reshape(len(poses), -1)
        rest = rest + np.einsum("vcp,fp->fvc", body.posedirs, feature, optimize=True)
    joints, transforms = pose_joints(body, template, poses, transl)
    return Posed(skin(rest, body.sparse_weights, transforms), joints, transforms)


def pose_joints(
    body: Body,
    template: Float[np.ndarray, "vertices 3"],
    poses: Float[np.ndarray, "frames 165"],
    transl: Float[np.ndarray, "frames 3"],
) -> tuple[Float[np.ndarray, "frames 55 3"], Float[np.ndarray, "frames 55 3 4"]]:
    """`joints` and `transforms` of `pose_body`, without its mesh."""
    rest_joints = body.J_regressor @ template
    transforms = joint_transforms(body.parents, _rotations(poses), rest_joints, transl)
    return (transforms[..., :3] @ rest_joints[None, :, :, None])[..., 0] + transforms[..., 3], transforms


def _rotations(poses: Float[np.ndarray, "frames 165"]) -> Float[np.ndarray, "frames 55 3 3"]:
    return matrix_from_rotvec(poses.reshape(len(poses), 55, 3).astype(np.float32))


def with_expression(
    body: Body, template: Float[np.ndarray, "vertices 3"], expression: Float[np.ndarray, "frames expression"]
) -> Float[np.ndarray, "frames vertices 3"]:
    """One copy of the template per frame, with the expression added."""
    rest = np.repeat(template[None].astype(np.float32), len(expression), 0)
    directions = body.exprdirs[body.expressive].reshape(-1, body.exprdirs.shape[2])
    offsets = expression.astype(np.float32) @ directions.T
    rest[:, body.expressive] += offsets.reshape(len(expression), -1, 3)
    return rest


def joint_transforms(
    parents: Int[np.ndarray, "55"],
    rotations: Float[np.ndarray, "frames 55 3 3"],
    rest_joints: Float[np.ndarray, "55 3"],
    transl: Float[np.ndarray, "frames 3"],
) -> Float[np.ndarray, "frames 55 3 4"]:
    """Per joint, the map from rest-pose points to posed points (smplx `batch_rigid_transform`), transl included."""
    world = np.empty_like(rotations)
    origin = np.empty(rotations.shape[:-1], rotations.dtype)
    for joint, parent in enumerate(parents):
        if parent < 0:
            world[:, joint], origin[:, joint] = rotations[:, joint], rest_joints[joint] + transl
            continue
        world[:, joint] = world[:, parent] @ rotations[:, joint]
        offset = rest_joints[joint] - rest_joints[parent]
        origin[:, joint] = world[:, parent] @ offset + origin[:, parent]
    shift = origin - (world @ rest_joints[None, :, :, None])[..., 0]
    return np.concatenate([world, shift[..., None]], -1)


def motion_template(body: Body, motion: Motion) -> Float[np.ndarray, "vertices 3"]:
    """Rest vertices of the person of a motion, without expression. `shape_runs` gives the people of several shots."""
    return shaped_template(
        body, shape_vector(body, motion.betas, motion.head_betas, motion.head_scale, motion.hand_scale)
    )


def pose_motion(body: Body, motion: Motion, rows: slice | Int[np.ndarray, "chosen"] = slice(None)) -> Posed:
    """Pose rows of a motion, in rising order, in its camera frame, each in the shape of its shot. Keep `rows` short:
    13,718 vertices take 0.16 MB per frame."""
    runs, chosen = shape_runs(motion), np.arange(len(motion))[rows]
    made = []
    for run, shaped in runs:
        some = chosen[(chosen >= run.start) & (chosen < run.stop)]
        if len(some) or len(runs) == 1:
            template = motion_template(body, shaped)
            moved = motion.poses[some], motion.trans[some], motion.expression[some]
            made.append(pose_body(body, template, *moved, shaped.head_scale))
    return Posed(*(np.concatenate([getattr(each, field.name) for each in made]) for field in fields(Posed)))


def rest_keypoints(body: Body) -> Float[np.ndarray, "keypoints 3"]:
    """The named keypoints of the mean shape in the rest pose, metres."""
    weighted = body.keypoint_value[:, None].astype(float) * body.v_template[body.keypoint_column]
    points = np.zeros((len(body.keypoint_names), 3))
    np.add.at(points, body.keypoint_row, weighted)
    return points


def keypoints_from(
    body: Body, template: Float[np.ndarray, "vertices 3"], posed: Posed
) -> Float[np.ndarray, "frames keypoints 3"]:
    """The named keypoints: skinned ones from posed vertices, joint-bound ones moved rigidly with their joint."""
    count = len(body.keypoint_names)
    bound = body.keypoint_joint >= 0
    rest, points = np.zeros((count, 3), np.float32), np.empty((len(posed.vertices), count, 3), np.float32)
    for chosen, vertices, target in ((bound, template[None], rest[None]), (~bound, posed.vertices, points)):
        entries = chosen[body.keypoint_row]
        weighted = vertices[:, body.keypoint_column[entries]] * body.keypoint_value[entries, None]
        rows, first = np.unique(body.keypoint_row[entries], return_index=True)
        target[:, rows] = np.add.reduceat(weighted, first, axis=1)
    transform = posed.transforms[:, body.keypoint_joint[bound]]
    points[:, bound] = (transform[..., :3] @ rest[bound][None, :, :, None])[..., 0] + transform[..., 3]
    return points
