"""The collapsed body in torch: the keypoints of `jacobian.pose_keypoints`, differentiable, for solvers with autograd.

In every array joints and pairs come before frames, so that a gather along them copies whole rows: 100 frames of 300
points and their gradient take about 10 ms on one core. Camera frame and metres as in `stages.track.state`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stages.body.model import Body
from stages.track.collapse import CollapsedKeypoints, Skeleton, collapse


@dataclass(frozen=True)
class TorchBody:
    """Skeleton and (keypoint, joint) pairs as tensors; see `collapse.CollapsedKeypoints` for the fields."""

    levels: tuple[Int[Tensor, "_"], ...]
    """Joints grouped by their distance from the root, without the root."""
    parents: Int[Tensor, "55"]
    joints: Float[Tensor, "55 3"]
    joint_dirs: Float[Tensor, "55 3 shape"]
    pair_keypoint: Int[Tensor, "pairs"]
    pair_joint: Int[Tensor, "pairs"]
    weight: Float[Tensor, "pairs 1"]
    rest: Float[Tensor, "pairs 3"]
    shape_dirs: Float[Tensor, "pairs 3 shape"]
    expression_pairs: Int[Tensor, "moved"]
    """Pairs that at least one expression moves."""
    expression_dirs: Float[Tensor, "moved_by_3 expression"]
    pose_dirs: Float[Tensor, "pairs_by_3 486"] | None
    keypoints: int

    @staticmethod
    def of(skeleton: Skeleton, sets: tuple[CollapsedKeypoints, ...], dtype: torch.dtype = torch.float32) -> TorchBody:
        """The keypoints of several sets, one set after the other."""

        def joined(name: str) -> Tensor:
            return torch.as_tensor(np.concatenate([getattr(each, name) for each in sets])).to(dtype)

        starts = np.cumsum([0, *(len(each) for each in sets)])
        owners = np.concatenate([each.pair_keypoint + start for each, start in zip(sets, starts, strict=False)])
        dirs = joined("expression_dirs")
        expression_pairs = torch.nonzero(dirs.abs().amax((1, 2)) > 0)[:, 0]
        has_pose_dirs = any(each.pose_dirs is not None for each in sets)
        return TorchBody(
            levels=_levels(skeleton.parents),
            parents=torch.as_tensor(skeleton.parents),
            joints=torch.as_tensor(skeleton.joints).to(dtype),
            joint_dirs=torch.as_tensor(skeleton.joint_dirs).to(dtype),
            pair_keypoint=torch.as_tensor(owners),
            pair_joint=joined("pair_joint").long(),
            weight=joined("weight")[:, None],
            rest=joined("rest"),
            shape_dirs=joined("shape_dirs"),
            expression_pairs=expression_pairs,
            expression_dirs=dirs[expression_pairs].reshape(3 * len(expression_pairs), dirs.shape[2]),
            pose_dirs=joined("pose_dirs").reshape(-1, 486) if has_pose_dirs else None,
            keypoints=int(starts[-1]),
        )

    def points(
        self,
        transl: Float[Tensor, "frames 3"],
        root: Float[Tensor, "frames 3 3"],
        theta: Float[Tensor, "frames 54 3"],
        psi: Float[Tensor, "frames expression"],
        shape: Float[Tensor, "shape"],
    ) -> Float[Tensor, "keypoints frames 3"]:
        """Keypoints in the camera frame, metres."""
        frames = len(transl)
        joints = self.joints + self.joint_dirs @ shape
        local = torch.cat([root[None], rotation_matrices(theta.transpose(0, 1))])
        world, origin = self._joint_transforms(local, joints, transl)
        rest = self.rest + self.shape_dirs @ shape - self.weight * joints[self.pair_joint]
        rest = rest[:, None].expand(-1, frames, -1)
        if len(self.expression_pairs):
            offset = (self.expression_dirs @ psi.T).reshape(-1, 3, frames).transpose(1, 2)
            rest = rest.index_add(0, self.expression_pairs, (1 + shape[-2]) * offset)
        if self.pose_dirs is not None:
            feature = (local[1:] - torch.eye(3, dtype=local.dtype)).transpose(0, 1).reshape(frames, -1)
            rest = rest + (self.pose_dirs @ feature.T).reshape(-1, 3, frames).transpose(1, 2)
        moved = (world[self.pair_joint] * rest[:, :, None]).sum(-1) + self.weight[:, None] * origin[self.pair_joint]
        return moved.new_zeros(self.keypoints, frames, 3).index_add(0, self.pair_keypoint, moved)

    def _joint_transforms(self, local, joints, transl) -> tuple[Tensor, Tensor]:
        """World rotation and position of every joint, one tree level at a time (smplx `batch_rigid_transform`)."""
        world, origin = [local[:1]], [joints[:1, None] + transl]
        slot = {0: 0}
        for level in self.levels:
            above = torch.tensor([slot[int(self.parents[joint])] for joint in level])
            parents_world, parents_origin = torch.cat(world)[above], torch.cat(origin)[above]
            bone = (joints[level] - joints[self.parents[level]])[:, None, None]
            world.append(parents_world @ local[level])
            origin.append((parents_world * bone).sum(-1) + parents_origin)
            slot |= {int(joint): len(slot) + place for place, joint in enumerate(level)}
        order = torch.tensor([slot[joint] for joint in range(len(slot))])
        return torch.cat(world)[order], torch.cat(origin)[order]


def _levels(parents: np.ndarray) -> tuple[Tensor, ...]:
    depth = np.zeros(len(parents), int)
    for joint, parent in enumerate(parents):
        depth[joint] = 0 if parent < 0 else depth[parent] + 1
    return tuple(torch.as_tensor(np.flatnonzero(depth == level)) for level in range(1, depth.max() + 1))


def rotation_matrices(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of axis-angles by Rodrigues' formula, with a finite gradient at zero."""
    squared = (rotvec * rotvec).sum(-1, keepdim=True)
    small = squared < 1e-8
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    first = torch.where(small, 1 - squared / 6, angle.sin() / angle)[..., None]
    second = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / angle**2)[..., None]
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*rotvec.shape, 3)
    outer = rotvec[..., :, None] * rotvec[..., None, :]
    eye = torch.eye(3, dtype=rotvec.dtype)
    return eye + first * cross + second * (outer - squared[..., None] * eye)


def farthest_point_sample(
    body: Body, count: int, among: Bool[np.ndarray, "vertices"] | None = None
) -> Int[np.ndarray, "chosen"]:
    """`count` vertices spread over the skin, or over the part `among`: each is the farthest from all chosen before it
    (Gonzalez 1985).
    """
    points = body.v_template.astype(np.float64)
    hidden = body.sets["mouth_cavity"] | body.sets["teeth"] | body.sets["tongue"]
    if among is not None:
        hidden = hidden | ~among
    chosen = [int(np.where(hidden, -np.inf, points[:, 1]).argmax())]
    distance = np.full(len(points), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(np.where(hidden, -1, distance).argmax()))
    return np.array(chosen)


def collapse_vertices(
    body: Body, vertices: Int[np.ndarray, "chosen"], columns: Int[np.ndarray, "shape"]
) -> CollapsedKeypoints:
    """Single vertices as collapsed keypoints, one keypoint per vertex."""
    names = tuple(f"vertex_{number}" for number in vertices)
    count = len(vertices)
    bare = replace(
        body, keypoint_names=names, keypoint_joint=np.full(count, -1), keypoint_row=np.arange(count),
        keypoint_column=np.asarray(vertices), keypoint_value=np.ones(count, np.float32),
        keypoint_sigma=np.ones(count, np.float32),
    )  # fmt: skip
    return collapse(bare, names, columns)
