"""What the detector saw, as weighted targets for the collapsed keypoints: pixels, and depths relative to a base point.

Sigmas are given in metres at the subject and turned to pixels once, at the first guess's depth: recomputing them from
the current depth lets the person run away from the camera (notes/tracker 4, "objective drift").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from stages.body.model import Body
from stages.detect.gates import CONFIDENCE
from stages.detect.observations import PARTS, Observations
from stages.track.collapse import Collapsed, collapse, shape_columns
from stages.track.config import TrackConfig

SHOULDERS, HIPS, KNEES, ANKLES = (11, 12), (23, 24), (25, 26), (27, 28)
HEAD_POINTS = (0, 7, 8)
"""Nose and ears of the pose network: used only where the face mesh is not."""
BODY_POINTS = (*HEAD_POINTS, *range(11, 17), *range(23, 33))
RIGID_FACE_POINTS = (1, 4, 6, 10, 33, 133, 168, 197, 263, 362, 151, 127, 356)
"""Points that no expression moves much: nose, forehead, eye corners, temples."""
SKIN_STRIDE = 6
"""Of the face's skin every sixth landmark is fitted; features (lips, lids, irises) and the oval all are."""
VISIBILITY_MIN = 0.15
"""Pose points less visible are not used; the others count by their visibility. At .3 d3's arm flew off and back."""
MARGIN_SHARE = 0.02
"""Points further outside the picture than this share of it are guesses."""
GUESSED_SHARE, GUESSED_REACH = 0.25, 0.5
"""Guessed elbows, wrists and hips count this much, out to this share of the picture: without them p2's hips sank by
a thigh's length and d3's arms stood off. Of legs out of the picture only an ankle below a seen knee says something:
without it p2's shin rose in front of his chest."""
ARMS = ((13, 15, "left_hand"), (14, 16, "right_hand"))


@dataclass(frozen=True)
class Group:
    """Targets of one body part. Unused entries have weight 0 and a finite target."""

    keypoints: Collapsed
    pixels: Float[np.ndarray, "frames keypoints 2"]
    per_pixel: Float[np.ndarray, "frames keypoints"]
    """1 / sigma in pixels."""
    robust: float
    """Geman-McClure width in sigmas."""
    depth: Float[np.ndarray, "frames keypoints"] | None = None
    """Metres further from the camera than the mean of `base`."""
    per_metre: Float[np.ndarray, "frames keypoints"] | None = None
    base: tuple[int, ...] = ()
    robust_depth: float = np.inf

    def rows(self, rows: slice | np.ndarray) -> Group:
        """The same targets in a subset of the frames."""
        return Group(
            self.keypoints, self.pixels[rows], self.per_pixel[rows], self.robust,
            None if self.depth is None else self.depth[rows],
            None if self.per_metre is None else self.per_metre[rows],
            self.base, self.robust_depth,
        )  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Per-frame facts that turn metres into pixels."""

    focal_px: float
    depth_m: Float[np.ndarray, "frames"]

    @property
    def px_per_m(self) -> Float[np.ndarray, "frames"]:
        """Size of a metre at the person."""
        return self.focal_px / self.depth_m


def collapsed_parts(body: Body, config: TrackConfig) -> dict[str, Collapsed]:
    """The keypoints of the body, the face, the rigid part of the face, and both hands, as a fit moves them."""
    columns = shape_columns(body, config.betas, config.head_betas)
    sigma = _sigma_by_name(body)
    face = [name for name in body.keypoint_names if name.startswith("face_")]
    skin = [name for name in face if 0.003 < sigma[name] < 0.006]
    names = {
        "body": [f"pose_{number:02d}" for number in BODY_POINTS],
        "face": [name for name in face if name not in skin or skin.index(name) % SKIN_STRIDE == 0],
        "rigid_face": [f"face_{number:03d}" for number in RIGID_FACE_POINTS],
        **{part: [f"{part}_{number:02d}" for number in range(21)] for part in PARTS[2:]},
    }
    return {part: collapse(body, tuple(chosen), columns) for part, chosen in names.items()}


def _sigma_by_name(body: Body) -> dict[str, float]:
    return dict(zip(body.keypoint_names, body.keypoint_sigma.tolist(), strict=True))


def groups_of(
    keypoints: dict[str, Collapsed],
    observations: Observations,
    valid: Bool[np.ndarray, "frames 4"],
    scene: Scene,
    body: Body,
    config: TrackConfig,
) -> dict[str, Group]:
    """Targets of the parts of `collapsed_parts` in these frames; `valid` is what the gates let through."""
    sigma = _sigma_by_name(body)
    groups = {"body": _body(keypoints["body"], observations, valid, scene, config)}
    for name in ("face", "rigid_face"):
        groups[name] = _face(observations, valid[:, 1], scene, keypoints[name], sigma, config)
    for part in PARTS[2:]:
        seen = valid[:, PARTS.index(part)]
        groups[part] = _hand(getattr(observations, part), seen, scene, keypoints[part], config)
    return groups


def _body(keypoints, observations, valid, scene, config) -> Group:
    points = observations.pose[:, list(BODY_POINTS)]
    visibility = np.nan_to_num(points[..., 2])
    if CONFIDENCE in config.gates_off:
        visibility = np.isfinite(points[..., 2]).astype(float)
    sigma = np.array([_body_sigma(number, config) for number in BODY_POINTS])
    pictured = inside(points, observations.image_size)
    guessed = inside(points, observations.image_size, GUESSED_REACH) & np.isin(
        BODY_POINTS, (*range(13, 17), *HIPS, *ANKLES)
    )
    for knee, ankle in zip(KNEES, ANKLES, strict=True):
        guessed[:, BODY_POINTS.index(ankle)] &= pictured[:, BODY_POINTS.index(knee)]
    believed = np.where(pictured, 1.0, GUESSED_SHARE) * visibility
    used = valid[:, :1] & (visibility > VISIBILITY_MIN) & (pictured | guessed)
    phantom = _phantom_wrists(observations, valid, pictured)
    used &= ~(np.isin(BODY_POINTS, HEAD_POINTS)[None] & valid[:, 1:2]) & ~phantom
    per_pixel = np.where(used, believed / (sigma * scene.px_per_m[:, None]), 0.0)
    world = observations.pose_world[:, list(BODY_POINTS), 2]
    base = tuple(BODY_POINTS.index(number) for number in SHOULDERS)
    depth = np.nan_to_num(world - world[:, list(base)].mean(1, keepdims=True))
    depth_sigma = np.where(visibility > 0.5, config.sigma_body_depth_m, config.sigma_hidden_depth_m)
    seen = valid[:, :1] & inside(points, observations.image_size, 0.2) & ~np.isin(BODY_POINTS, HEAD_POINTS)[None]
    seen &= ~phantom
    return Group(
        keypoints, np.nan_to_num(points[..., :2]).astype(float), per_pixel, config.robust_body,
        depth.astype(float), np.where(seen, 1 / depth_sigma, 0.0), base, config.robust_depth,
    )  # fmt: skip


def _phantom_wrists(observations, valid, pictured) -> Bool[np.ndarray, "frames keypoints"]:
    """Wrists in the picture on arms that are not, without a hand: the pose network lends them the other hand (d5)."""
    phantom = np.zeros(pictured.shape, bool)
    for elbow, wrist, hand in ARMS:
        unseen = ~pictured[:, BODY_POINTS.index(elbow)] & ~valid[:, PARTS.index(hand)]
        phantom[:, BODY_POINTS.index(elbow)] = phantom[:, BODY_POINTS.index(wrist)] = (
            unseen & (pictured[:, BODY_POINTS.index(wrist)])
        )
    return phantom


def _body_sigma(number: int, config: TrackConfig) -> float:
    if number in SHOULDERS:
        return config.sigma_shoulder_m
    if number in HIPS:
        return config.sigma_hip_m
    return config.sigma_leg_m if number > HIPS[-1] or number in HEAD_POINTS else config.sigma_arm_m


def _face(observations, seen, scene, keypoints, sigma, config) -> Group:
    numbers = [int(name.removeprefix("face_")) for name in keypoints.names]
    points = observations.face[:, numbers]
    kinds = {0.0023: config.sigma_feature_m, 0.0038: config.sigma_face_m, 0.009: config.sigma_oval_m}
    metres = np.array([kinds[min(kinds, key=lambda kind: abs(kind - sigma[name]))] for name in keypoints.names])
    used = seen[:, None] & inside(points, observations.image_size)
    per_pixel = np.where(used, 1 / (metres * scene.px_per_m[:, None]), 0.0)
    return Group(keypoints, np.nan_to_num(points[..., :2]).astype(float), per_pixel, config.robust_face)


def _hand(points, seen, scene, keypoints, config) -> Group:
    used = seen[:, None] & np.isfinite(points[..., 0])
    per_pixel = np.where(used, 1 / (config.sigma_hand_m * scene.px_per_m[:, None]), 0.0)
    depth = np.nan_to_num(points[..., 2]) / scene.px_per_m[:, None]
    return Group(
        keypoints, np.nan_to_num(points[..., :2]).astype(float), per_pixel, config.robust_hand,
        depth - depth[:, :1], np.where(used, 1 / config.sigma_hand_depth_m, 0.0), (0,), config.robust_depth,
    )  # fmt: skip


def inside(
    points: Float[np.ndarray, "frames keypoints axes"], image_size: tuple[int, int], margin: float = MARGIN_SHARE
) -> Bool[np.ndarray, "frames keypoints"]:
    """Inside the picture, give or take `margin` of its longer side."""
    room = margin * max(image_size)
    xy = np.nan_to_num(points[..., :2], nan=-1e9)
    return ((xy > -room) & (xy < np.array(image_size) + room)).all(-1)
