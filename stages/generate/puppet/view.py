"""The photo and the body fitted to it, at the size in which the puppet is drawn.

The canvas is the photo with a mirrored strip on the sides where the body leaves the picture, so that a shirt does not
end in mid-air when the person rises. `offset` is the position of the photo's top left corner in the canvas.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from stages.artifacts.motion import Motion
from stages.body.camera import project, resize_intrinsics
from stages.body.model import JOINT_NAMES, Body, joint_transforms, motion_template
from stages.body.rotations import matrix_from_rotvec
from stages.generate.puppet.draw import skin_points
from stages.raster.rasterizer import Fragments, rasterizer

JOINTS_PER_POINT = 8
FIRST_FINGER = JOINT_NAMES.index("left_index1")
ARM_JOINTS = np.array(
    [row >= FIRST_FINGER or name.endswith(("shoulder", "elbow", "wrist")) for row, name in enumerate(JOINT_NAMES)]
)
"""The joints from the shoulder on: upper arm, forearm, hand and fingers."""
STRIP = 0.22
"""Width of the mirrored strip, as a share of the picture's side. Chosen by eye."""


HAIR_CM = 3.0
"""With less room above the fitted head the photo's border cuts the hair, and the picture is continued above it."""


@dataclass
class Rig:
    """The body of one person, ready to be posed; it holds shape but no pose."""

    body: Body
    template: Float[np.ndarray, "vertices 3"]
    rest_joints: Float[np.ndarray, "55 3"]
    joints: Int[np.ndarray, "vertices k"]
    weights: Float[np.ndarray, "vertices k"]
    moving: Int[np.ndarray, "moving"]
    """Numbers of the vertices that expressions move."""
    expression_rows: Float[np.ndarray, "moving3 expression"]
    arm_share: Float[np.ndarray, "vertices"]
    """How far each vertex belongs to an arm, 0 to 1."""

    def transforms(self, poses: np.ndarray, trans: np.ndarray) -> Float[np.ndarray, "55 3 4"]:
        """Per joint, the map from rest to posed points, for one motion row."""
        rotations = matrix_from_rotvec(poses.reshape(1, 55, 3).astype(np.float32))
        return joint_transforms(self.body.parents, rotations, self.rest_joints, trans[None].astype(np.float32))[0]

    def offsets(self, poses: np.ndarray, expression: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
        """Offsets of expression and pose correctives to the rest vertices."""
        offset = np.zeros_like(self.template)
        offset[self.moving] = (self.expression_rows @ expression.astype(np.float32)).reshape(-1, 3)
        if self.body.posedirs is not None:
            rotations = matrix_from_rotvec(poses.reshape(55, 3).astype(np.float32))[1:]
            offset += self.body.posedirs @ (rotations - np.eye(3, dtype=np.float32)).reshape(-1)
        return offset

    def skin(self, offsets: np.ndarray, transforms: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
        """Posed vertices in the camera frame."""
        out = np.empty_like(self.template)
        skin_points(self.template + offsets, self.joints, self.weights, transforms, out)
        return out


def make_rig(body: Body, reference: Motion) -> Rig:
    """The rig of the person in a motion."""
    template = motion_template(body, reference).astype(np.float32)
    joints, weights = strongest_joints(body.weights)
    moving = np.flatnonzero(np.abs(body.exprdirs).max((1, 2)) > 1e-7)
    rows = reference.head_scale * body.exprdirs[moving].reshape(-1, body.exprdirs.shape[2])
    return Rig(
        body, template, body.J_regressor @ template, joints, weights, moving, np.ascontiguousarray(rows, np.float32),
        arm_share(joints, weights),
    )  # fmt: skip


def strongest_joints(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The JOINTS_PER_POINT strongest joints of each point, and their weights, which sum to one."""
    joints = np.argsort(-weights, axis=1)[:, :JOINTS_PER_POINT]
    chosen = np.take_along_axis(weights, joints, 1)
    return joints.astype(np.int32), (chosen / np.maximum(chosen.sum(1, keepdims=True), 1e-9)).astype(np.float32)


def arm_share(
    joints: Int[np.ndarray, "points k"], weights: Float[np.ndarray, "points k"]
) -> Float[np.ndarray, "points"]:
    """How far each skinned point belongs to an arm, 0 to 1."""
    return (weights * ARM_JOINTS[joints]).sum(1).astype(np.float32)


@dataclass
class View:
    """The fitted body in the canvas of the photo. Pixels are canvas pixels; metres are in the camera frame."""

    rig: Rig
    photo: UInt8[np.ndarray, "height width 3"]
    inside: Bool[np.ndarray, "height width"]
    """False in the mirrored strips."""
    offset: tuple[int, int]
    size: tuple[int, int]
    """Width and height of the photo inside the canvas."""
    K: Float[np.ndarray, "3 3"]
    transforms: Float[np.ndarray, "55 3 4"]
    offsets: Float[np.ndarray, "vertices 3"]
    vertices: Float[np.ndarray, "vertices 3"]
    points: Float[np.ndarray, "vertices 3"]
    normals: Float[np.ndarray, "vertices 3"]
    fragments: Fragments
    centimetre_px: float

    def extend(self, image: np.ndarray) -> np.ndarray:
        """A picture of the photo's size, extended to the canvas by mirroring."""
        height, width = self.photo.shape[:2]
        left, top = self.offset
        right, bottom = width - left - self.size[0], height - top - self.size[1]
        return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT_101)

    def joints(self, *names: str) -> Float[np.ndarray, "joints 3"]:
        """Places of the named joints in the photo's camera frame, metres."""
        rows = [JOINT_NAMES.index(name) for name in names]
        turned = np.einsum("jab,jb->ja", self.transforms[rows, :, :3], self.rig.rest_joints[rows])
        return turned + self.transforms[rows, :, 3]

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The area of the photo in a picture of the canvas's size."""
        left, top = self.offset
        return image[top : top + self.size[1], left : left + self.size[0]]


def make_view(photo: UInt8[np.ndarray, "height width 3"], reference: Motion, rig: Rig, size: tuple[int, int]) -> View:
    """Resize the photo to `size`, extend it where the body leaves it, and pose the body in it."""
    width, height = size
    picture = resize_photo(photo, size)
    K = resize_intrinsics(reference.K[0], width / reference.image_size[0], height / reference.image_size[1]).astype(
        np.float32
    )
    transforms = rig.transforms(reference.poses[0], reference.trans[0])
    offsets = rig.offsets(reference.poses[0], reference.expression[0])
    vertices = rig.skin(offsets, transforms)
    points = project(vertices, K)
    outside = points[:, 0] < 0, points[:, 1] < 0, points[:, 0] > width, points[:, 1] > height
    head = points[rig.body.part_vertices("head"), 1]
    cropped = head.max() > 0 and head.min() < 0.01 * HAIR_CM * K[1, 1] / float(np.median(points[:, 2]))
    left, top, right, bottom = (
        round(STRIP * side) if out.mean() > 0.04 or more else 0
        for out, side, more in zip(outside, (width, height, width, height), (False, cropped, False, False), strict=True)
    )
    canvas = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    inside = np.zeros(canvas.shape[:2], bool)
    inside[top : top + height, left : left + width] = True
    K[:2, 2] += left, top
    view = View(
        rig, canvas, inside, (left, top), size, K, transforms, offsets, vertices, points, np.zeros_like(vertices),
        Fragments(np.zeros((0, 0), np.int32), np.zeros((0, 0, 3), np.float32), np.zeros((0, 0), np.float32)), 1.0,
    )  # fmt: skip
    pose_view(view)
    return view


def resize_photo(photo: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]) -> np.ndarray:
    """The photo at `size` (width, height): area-averaged when smaller, cubic when larger."""
    enlarging = max(size[0] / photo.shape[1], size[1] / photo.shape[0]) > 1
    return cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC if enlarging else cv2.INTER_AREA)


def pose_view(view: View) -> None:
    """Compute (again) everything that depends on the template of the rig."""
    view.vertices = view.rig.skin(view.offsets, view.transforms)
    view.points = project(view.vertices, view.K).astype(np.float32)
    view.normals = vertex_normals(view.vertices, view.rig.body.faces)
    height, width = view.photo.shape[:2]
    view.fragments = rasterizer("numba")(view.points, view.rig.body.faces, width, height)
    seen = view.fragments.depth[np.isfinite(view.fragments.depth)]
    depth = float(np.median(seen)) if len(seen) else float(np.median(view.vertices[:, 2]))
    view.centimetre_px = 0.01 * float(view.K[0, 0]) / max(depth, 0.1)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
    """Outward unit normals, weighted by triangle area."""
    corners = vertices[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(faces[:, corner], face_normals[:, axis], len(vertices)).astype(np.float32)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def facing(view: View) -> Float[np.ndarray, "vertices"]:
    """Cosine between each vertex's normal and the direction to the camera."""
    toward = -view.vertices / np.maximum(np.linalg.norm(view.vertices, axis=1, keepdims=True), 1e-6)
    return (view.normals * toward).sum(1)


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between; `low` may be larger than `high`, which reverses the step."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))
