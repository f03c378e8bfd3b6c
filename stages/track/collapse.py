"""Linear blend skinning reduced ("collapsed") to keypoints, so that a fit never needs the mesh.

A keypoint is a linear function of vertices, x_k = sum_v r_kv v'. Under skinning it becomes
x_k = sum_j (W_j a_kj + b_kj t_j) with a_kj = sum_v r_kv w_vj v (linear in shape and expression) and
b_kj = sum_v r_kv w_vj (notes/tracker 4). 231 keypoints become about 400 (keypoint, joint) pairs instead of
13,700 vertices. The result equals the full forward pass algebraically. A keypoint bound rigidly to a joint is one pair.
Rest pose and camera frames as in `stages.body.model`; metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from stages.body.model import JOINT_NAMES, Body

PAIR_WEIGHT_MIN = 1e-3
"""Pairs with less weight than this are dropped and the other pairs of the keypoint are rescaled. The error is at most
0.05 mm, see the test."""


SIZE_BONES = tuple(
    (f"{side}_{above}", f"{side}_{below}")
    for side in ("left", "right")
    for above, below in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"),
    )
)  # fmt: skip
"""Bones whose lengths measure the size of a body."""


@dataclass(frozen=True)
class Skeleton:
    """Rest joints as a linear function of the fitted shape columns."""

    parents: Int[np.ndarray, "55"]
    joints: Float[np.ndarray, "55 3"]
    joint_dirs: Float[np.ndarray, "55 3 shape"]

    def size(self, shape: Float[np.ndarray, "shape"]) -> tuple[float, Float[np.ndarray, "shape"]]:
        """Mean length of the bones of arms and legs and of the shoulders' height over the hips against that of the mean
        shape, and its derivative by the shape."""
        bones = np.array([[JOINT_NAMES.index(name) for name in pair] for pair in SIZE_BONES])
        joints = self.joints + self.joint_dirs @ shape
        away = joints[bones[:, 1]] - joints[bones[:, 0]]
        dirs = self.joint_dirs[bones[:, 1]] - self.joint_dirs[bones[:, 0]]
        length = np.linalg.norm(away, axis=1)
        mean = np.linalg.norm(self.joints[bones[:, 1]] - self.joints[bones[:, 0]], axis=1).sum()
        return float(length.sum() / mean), np.einsum("bc,bcs->s", away / length[:, None], dirs) / mean


@dataclass(frozen=True)
class CollapsedKeypoints:
    """A set of keypoints as (keypoint, joint) pairs, sorted by keypoint."""

    names: tuple[str, ...]
    pair_keypoint: Int[np.ndarray, "pairs"]
    pair_joint: Int[np.ndarray, "pairs"]
    pair_start: Int[np.ndarray, "keypoints"]
    """First pair of each keypoint: the offsets of `np.add.reduceat`."""
    weight: Float[np.ndarray, "pairs"]
    """b_kj; sums to 1 over a keypoint's pairs."""
    rest: Float[np.ndarray, "pairs 3"]
    """a_kj of the mean shape."""
    shape_dirs: Float[np.ndarray, "pairs 3 shape"]
    expression_dirs: Float[np.ndarray, "pairs 3 expression"]
    pose_dirs: Float[np.ndarray, "pairs 3 486"] | None
    ancestors: tuple[int, ...]
    """Joints, root excluded, whose rotation moves any of these keypoints."""
    moved: Float[np.ndarray, "ancestors pairs"]
    """1 where the joint of the pair is the ancestor or a descendant of it."""

    def __len__(self) -> int:
        """Number of keypoints."""
        return len(self.names)


def shape_columns(body: Body, betas: int, head_betas: int) -> Int[np.ndarray, "shape"]:
    """Columns of `body.shapedirs` that are fitted: the first betas, the first head betas, head and hand scale."""
    total = body.shapedirs.shape[2]
    head = body.num_betas + np.arange(min(head_betas, body.num_head_betas))
    return np.concatenate([np.arange(min(betas, body.num_betas)), head, [total - 2, total - 1]]).astype(np.int64)


def skeleton_of(body: Body, columns: Int[np.ndarray, "shape"]) -> Skeleton:
    """The rest joints of a body, and how the fitted shape columns move them."""
    regressor = body.J_regressor.astype(np.float64)
    dirs = np.einsum("jv,vcs->jcs", regressor, body.shapedirs[:, :, columns].astype(np.float64), optimize=True)
    return Skeleton(body.parents, regressor @ body.v_template.astype(np.float64), dirs)


def collapse(body: Body, names: tuple[str, ...], columns: Int[np.ndarray, "shape"]) -> CollapsedKeypoints:
    """Collapse the named keypoints of a body. Raises KeyError for a name that the body does not have."""
    order = {name: row for row, name in enumerate(body.keypoint_names)}
    keypoints = np.array([order[name] for name in names])
    pair_keypoint, pair_joint, share, bound = _pairs(body, keypoints)
    flat = np.concatenate(
        [
            share.of(np.ones((len(body.v_template), 1))),
            share.of(body.v_template),
            share.of(body.shapedirs, columns),
            share.of(body.exprdirs),
        ],
        axis=1,
    )
    shape_end = 4 + 3 * len(columns)
    expression_dirs = flat[:, shape_end:].reshape(len(flat), 3, -1)
    expression_dirs[bound] = 0.0
    pose_dirs = None
    if body.posedirs is not None:
        pose_dirs = share.of(body.posedirs).reshape(len(flat), 3, -1)
        pose_dirs[bound] = 0.0
    ancestors, moved = _ancestors(body.parents, pair_joint)
    return CollapsedKeypoints(
        names=tuple(names),
        pair_keypoint=pair_keypoint,
        pair_joint=pair_joint,
        pair_start=np.searchsorted(pair_keypoint, np.arange(len(names))),
        weight=flat[:, 0],
        rest=flat[:, 1:4],
        shape_dirs=flat[:, 4:shape_end].reshape(len(flat), 3, -1),
        expression_dirs=expression_dirs,
        pose_dirs=pose_dirs,
        ancestors=ancestors,
        moved=moved,
    )


@dataclass(frozen=True)
class _Shares:
    """The shares r_kv w_vj of vertices in pairs, pair after pair."""

    vertex: Int[np.ndarray, "shares"]
    value: Float[np.ndarray, "shares"]
    first: Int[np.ndarray, "pairs"]
    """First share of each pair."""

    def of(self, rows: np.ndarray, columns: np.ndarray | slice = slice(None)) -> Float[np.ndarray, "pairs flat"]:
        """Sums over each pair of the vertices' rows, by their shares; `columns` of the last axis."""
        chosen = rows[self.vertex][..., columns].reshape(len(self.vertex), -1).astype(np.float64)
        return np.add.reduceat(self.value[:, None] * chosen, self.first, axis=0)


def _pairs(body: Body, keypoints: Int[np.ndarray, "keypoints"]):
    """The pairs, and the shares of vertices in them."""
    vertex, values, pair_keypoint, pair_joint, bound = [], [], [], [], []
    for place, keypoint in enumerate(keypoints):
        entries = body.keypoint_row == keypoint
        vertices, weights = body.keypoint_column[entries], body.keypoint_value[entries].astype(np.float64)
        rigid = body.keypoint_joint[keypoint] >= 0
        if rigid:
            shares = weights[:, None]
            joints = body.keypoint_joint[keypoint : keypoint + 1]
        else:
            shares = weights[:, None] * body.weights[vertices]
            totals = shares.sum(0)
            joints = np.flatnonzero(np.abs(totals) > PAIR_WEIGHT_MIN)
            shares = shares[:, joints] * (totals.sum() / totals[joints].sum())
        for joint, share in zip(joints, shares.T, strict=True):
            vertex.append(vertices)
            values.append(share)
            pair_keypoint.append(place)
            pair_joint.append(joint)
            bound.append(rigid)
    sizes = np.array([len(each) for each in vertex])
    shares = _Shares(np.concatenate(vertex), np.concatenate(values), np.cumsum(sizes) - sizes)
    return np.array(pair_keypoint), np.array(pair_joint), shares, np.array(bound)


def _ancestors(parents: Int[np.ndarray, "55"], pair_joint: Int[np.ndarray, "pairs"]):
    chains = []
    for joint in pair_joint:
        chain = []
        while joint > 0:
            chain.append(int(joint))
            joint = parents[joint]
        chains.append(chain)
    ancestors = tuple(sorted({joint for chain in chains for joint in chain}))
    moved = np.array([[float(joint in chain) for chain in chains] for joint in ancestors])
    return ancestors, moved.reshape(len(ancestors), len(pair_joint))
