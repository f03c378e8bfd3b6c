"""Rendered clips of a walker in a textured scene, with the exact path of the camera: truth for `stages.camera`.

The world is that of a level camera at the first frame: x right, y down, z forward, metres. Feet that stand do not move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, UInt8

from benchmarks.truth_clips import clothed
from stages.artifacts.motion import Motion
from stages.artifacts.world import STILL, TRAVELLING, TURNING, World
from stages.body.camera import project
from stages.body.face_paint import FacePaint, paint_face
from stages.body.model import Body, motion_template, pose_joints, pose_motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.body.same_body import require_same_body
from stages.body.smplx_layout import joint
from stages.raster.rasterizer import rasterizer

FPS, SIZE, FOCAL = 30, (640, 480), 560.0
FLOOR_M, DISTANCE_M, STEP_HZ = 1.15, 3.6, 0.9
"""Height of the camera above the floor, distance of the walker, full cycles of the gait per second."""
ANKLE_M = 0.085
"""Height of the ankle above the sole."""


# ---- the scene
@dataclass(frozen=True)
class Plane:
    """A textured rectangle: a corner, its two sides (metres), and its picture."""

    corner: Float[np.ndarray, "3"]
    across: Float[np.ndarray, "3"]
    down: Float[np.ndarray, "3"]
    picture: UInt8[np.ndarray, "rows columns 3"]


def texture(random: np.random.Generator, rows: int, columns: int) -> UInt8[np.ndarray, "rows columns 3"]:
    """Coloured noise of several sizes with some rectangles, like a wall with posters."""
    import cv2

    picture = np.zeros((rows, columns, 3), np.float32)
    for size, strength in ((rows // 4, 0.25), (rows // 16, 0.2), (6, 0.12)):
        small = random.random((max(2, rows // max(size, 1)), max(2, columns // max(size, 1)), 3)).astype(np.float32)
        picture += strength * cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC)
    picture += random.uniform(0.05, 0.3, 3).astype(np.float32)
    for _ in range(14):
        height, width = (random.uniform(0.05, 0.25, 2) * (rows, columns)).astype(int) + 2
        top, left = random.integers(0, rows - height), random.integers(0, columns - width)
        patch = picture[top : top + height, left : left + width]
        patch *= random.uniform(0.4, 1.1, 3).astype(np.float32)
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)


def scene(seed: int = 0) -> list[Plane]:
    """A wall 7 m away, a floor, side walls, and two panels that stand nearer."""
    random = np.random.default_rng([seed, 11])

    def plane(corner: tuple, across: tuple, down: tuple) -> Plane:
        wide, tall = np.linalg.norm(across), np.linalg.norm(down)
        picture = texture(random, round(float(tall) * 110), round(float(wide) * 110))
        return Plane(np.array(corner, float), np.array(across, float), np.array(down, float), picture)

    return [
        plane((-9, -5, 7), (18, 0, 0), (0, 5 + FLOOR_M, 0)),
        plane((-9, FLOOR_M, 7), (18, 0, 0), (0, 0, -10)),
        plane((-9, -5, -3), (0, 0, 10), (0, 5 + FLOOR_M, 0)),
        plane((9, -5, -3), (0, 0, 10), (0, 5 + FLOOR_M, 0)),
        plane((-9, -5, 7), (18, 0, 0), (0, 0, -10)),
        plane((-3.4, -0.9, 5.6), (1.6, 0, 0.3), (0, 0.9 + FLOOR_M, 0)),
        plane((1.7, -0.5, 4.9), (1.1, 0, -0.2), (0, 0.5 + FLOOR_M, 0)),
    ]


def background(
    planes: list[Plane], K: Float[np.ndarray, "3 3"], R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"],
    size: tuple[int, int],
) -> UInt8[np.ndarray, "height width 3"]:  # fmt: skip
    """The scene from the camera x_world = R x_camera + t, without the person; four samples per pixel."""
    import cv2

    wide, tall = 2 * size[0], 2 * size[1]
    fine = np.diag([2.0, 2.0, 1.0]) @ K
    centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    x, y = np.arange(wide, dtype=np.float32) + 0.5, np.arange(tall, dtype=np.float32)[:, None] + 0.5
    best, out = np.full((tall, wide), 1e-6, np.float32), np.zeros((tall, wide, 3), np.uint8)
    for plane in planes:
        place, across, down = R.T @ (plane.corner - t), R.T @ plane.across, R.T @ plane.down
        normal = np.cross(across, down)
        slope = np.linalg.inv(fine).T @ (normal / (normal @ place))
        inverse_depth = slope[0].astype(np.float32) * x + (slope[1] * y + slope[2]).astype(np.float32)
        rows, columns = plane.picture.shape[:2]
        to_pixels = np.linalg.inv(centre) @ fine @ np.stack([across / columns, down / rows, place], 1) @ centre
        inside = cv2.warpPerspective(np.ones((rows, columns), np.uint8), to_pixels, (wide, tall))
        nearer = (inside > 0) & (inverse_depth > best)
        if nearer.any():
            drawn = cv2.warpPerspective(plane.picture, to_pixels, (wide, tall), flags=cv2.INTER_LINEAR)
            cv2.copyTo(drawn, nearer.astype(np.uint8), out)
            best[nearer] = inverse_depth[nearer]
    return cv2.resize(out, size, interpolation=cv2.INTER_AREA)


# ---- the walker
WALKS, STANDS, TURNS = "walks", "stands", "turns"


def walker(body: Body, frames: int, what: str = WALKS) -> tuple[np.ndarray, np.ndarray]:
    """poses (frames, 165) and trans (frames, 3) in the world. Walks from left to right, the standing foot fixed; or
    stands; or turns about the vertical by 12 degrees per second."""
    seconds = np.arange(frames) / FPS
    phase = 2 * np.pi * STEP_HZ * seconds
    poses = np.zeros((frames, 165))
    facing = -np.pi / 2 if what == WALKS else np.radians(12) * seconds * (what == TURNS)
    poses[:, :3] = rotvec_from_matrix(
        np.diag([1.0, -1.0, -1.0]) @ matrix_from_rotvec(np.stack([0 * seconds, 0 * seconds - facing, 0 * seconds], -1))
    )
    angles = poses.reshape(frames, 55, 3)
    if what == WALKS:
        for side, shift in (("left", 0.0), ("right", np.pi)):
            swing = np.sin(phase + shift)
            angles[:, joint(f"{side}_hip"), 0] = -0.42 * swing
            angles[:, joint(f"{side}_knee"), 0] = 0.9 * np.clip(np.cos(phase + shift), 0, None) ** 2
            angles[:, joint(f"{side}_shoulder"), 0] = 0.35 * swing
    for side, sign in (("left", -1), ("right", 1)):
        angles[:, joint(f"{side}_shoulder"), 2] = sign * 1.1
    template = body.v_template
    joints, _ = pose_joints(body, template, poses.astype(np.float32), np.zeros((frames, 3), np.float32))
    ankles = joints[:, [joint("left_ankle"), joint("right_ankle")]].astype(float)
    trans, standing = np.zeros((frames, 3)), (np.cos(phase) > 0).astype(int)
    for row in range(1, frames):
        trans[row] = trans[row - 1] - (ankles[row, standing[row]] - ankles[row - 1, standing[row]])
    trans[:, 1] = FLOOR_M - ANKLE_M - ankles[np.arange(frames), standing, 1]
    start = np.array([-1.6, 0, DISTANCE_M]) if what == WALKS else np.array([0, 0, DISTANCE_M])
    trans[:, [0, 2]] += (start - joints[0, 0])[[0, 2]]
    return poses, trans


# ---- the camera's paths
@dataclass(frozen=True)
class Path:
    """A camera's path: rotation vectors and places in the world for each time in seconds, its zoom, and its kind."""

    name: str
    kind: str
    turn: Callable[[np.ndarray], np.ndarray]
    place: Callable[[np.ndarray], np.ndarray]
    zoom: Callable[[np.ndarray], np.ndarray]


def _along(axis: int, amount: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    def values(seconds: np.ndarray) -> np.ndarray:
        out = np.zeros((len(seconds), 3))
        out[:, axis] = amount(seconds)
        return out

    return values


def _around(degrees: float) -> Callable[[np.ndarray], np.ndarray]:
    """The places of a camera that turns about y and goes round the place of the person, so that it looks at them."""
    subject = np.array([0, 0, DISTANCE_M])

    def places(seconds: np.ndarray) -> np.ndarray:
        turns = matrix_from_rotvec(np.radians(degrees) * seconds[:, None] * np.array([0.0, 1.0, 0.0]))
        return subject - turns @ subject

    return places


def _shaking(degrees: float, metres: float, seed: int, hz: float = 1.0) -> tuple[Callable, Callable]:
    random = np.random.default_rng(seed)
    waves = random.uniform(0.6, 4.5, (6, 2, 3)) * hz
    phases, sizes = random.uniform(0, 2 * np.pi, (6, 2, 3)), random.normal(size=(6, 2, 3))

    def shake(seconds: np.ndarray, which: int, size: float) -> np.ndarray:
        angle = 2 * np.pi * waves[:, which] * seconds[:, None, None] + phases[:, which]
        values = (sizes[:, which] / waves[:, which] * (np.sin(angle) - np.sin(phases[:, which]))).sum(1)
        return size * values

    return lambda s: shake(s, 0, np.radians(degrees)), lambda s: shake(s, 1, metres)


def paths(speed: float = 1.0) -> list[Path]:
    """Still, pan, tilt, zoom, pan there and back with zoom, dolly aside, dolly forward, alongside, and by hand."""
    nothing, one = _along(0, lambda s: 0 * s), lambda s: 1 + 0 * s
    turn, travel = _shaking(0.8, 0.012, 3, speed)
    return [
        Path("still", STILL, nothing, nothing, one),
        Path("pan", TURNING, _along(1, lambda s: np.radians(9 * speed) * s), nothing, one),
        Path("pan and back", TURNING, _along(1, lambda s: np.radians(14) * np.sin(1.6 * speed * s)), nothing, one),
        Path("tilt", TURNING, _along(0, lambda s: np.radians(5 * speed) * s), nothing, one),
        Path("zoom", TURNING, nothing, nothing, lambda s: np.exp(0.1 * speed * s)),
        Path("pan and zoom", TURNING, _along(1, lambda s: np.radians(7 * speed) * s), nothing,
             lambda s: np.exp(0.08 * speed * s)),
        Path("turning by hand", TURNING, turn, nothing, one),
        Path("dolly aside", TRAVELLING, nothing, _along(0, lambda s: 0.35 * speed * s), one),
        Path("dolly forward", TRAVELLING, nothing, _along(2, lambda s: 0.25 * speed * s), one),
        Path("alongside and pan", TRAVELLING, _along(1, lambda s: np.radians(4 * speed) * s),
             _along(0, lambda s: 0.5 * speed * s), one),
        Path("by hand", TRAVELLING, turn, travel, one),
        Path("orbit", TRAVELLING, _along(1, lambda s: np.radians(12 * speed) * s), _around(12 * speed), one),
    ]  # fmt: skip


# ---- clips
@dataclass(frozen=True)
class Clip:
    """A clip: its exact motion in the camera's frame with its world, and how to draw it."""

    path: Path
    motion: Motion
    planes: list[Plane]
    paint: FacePaint

    def frames(self, body: Body) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]]:
        """Each picture, and where the person is."""
        draw, world = rasterizer("numba"), self.motion.world
        width, height = self.motion.image_size
        random = np.random.default_rng(5)
        for row in range(len(self.motion)):
            K = self.motion.K[row].astype(float)
            picture = background(self.planes, K, world.R[row], world.t[row], (width, height))
            vertices = pose_motion(body, self.motion, slice(row, row + 1)).vertices[0]
            fragments = draw(project(vertices, self.motion.K[row]), body.faces, width, height)
            covered = fragments.face >= 0
            picture[covered] = paint_face(body, vertices, self.paint, fragments)[1][covered]
            noise = random.normal(0, 2.0, picture.shape)
            yield np.clip(picture + noise, 0, 255).astype(np.uint8), covered


def clip(body: Body, path: Path, like: Motion, frames: int = 60, what: str = WALKS) -> Clip:
    """The person seen by the camera `path`. like: any motion of the body, for what has no row per frame."""
    require_same_body("motion", like, body)
    seconds = np.arange(frames) / FPS
    R, t, zoom = matrix_from_rotvec(path.turn(seconds)), path.place(seconds), path.zoom(seconds)
    poses, trans = walker(body, frames, what)
    width, height = SIZE
    K = np.tile(np.array([[FOCAL, 0, width / 2], [0, FOCAL, height / 2], [0, 0, 1]]), (frames, 1, 1))
    K[:, 0, 0] *= zoom
    K[:, 1, 1] *= zoom
    still = replace(
        like, poses=poses.astype(np.float32), trans=trans.astype(np.float32), K=K.astype(np.float32),
        betas=np.zeros_like(like.betas), head_betas=np.zeros_like(like.head_betas), head_scale=1.0, hand_scale=1.0,
        image_size=SIZE, fps=Fraction(FPS), pts_seconds=seconds, duration_seconds=frames / FPS,
    )  # fmt: skip
    pelvis = body.J_regressor[0] @ motion_template(body, still)
    poses[:, :3] = rotvec_from_matrix(R.swapaxes(-1, -2) @ matrix_from_rotvec(poses[:, :3]))
    seen = np.einsum("tji,tj->ti", R, trans + pelvis - t) - pelvis
    world = World(R, t, np.full(frames, path.kind))
    motion = replace(still, poses=poses.astype(np.float32), trans=seen.astype(np.float32), **world.as_rows())
    return Clip(path, motion, scene(), clothed(body))
