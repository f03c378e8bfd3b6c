"""The detector's points as weighted targets of the fit: pixels, and differences of depth.

Sigmas are given in metres at the person and converted to pixels once, at the distance of the first guess. With sigmas
from the current distance the fit moves the person away from the camera (notes/tracker 4, "objective drift").
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from stages.body.model import Body, rest_keypoints
from stages.detect.gates import CONFIDENCE
from stages.detect.observations import PARTS, Observations
from stages.track.collapse import CollapsedKeypoints, collapse, shape_columns
from stages.track.config import TrackConfig

SHOULDERS, HIPS, KNEES, ANKLES = (11, 12), (23, 24), (25, 26), (27, 28)
HEAD_POINTS = (0, 7, 8)
"""Nose and ears of the pose network. They are used only in frames without a valid face mesh."""
BODY_POINTS = (*HEAD_POINTS, *range(11, 17), *range(23, 33))
RIGID_FACE_POINTS = (1, 4, 6, 10, 33, 133, 168, 197, 263, 362, 151, 127, 356)
"""Points that no expression moves much: nose, forehead, eye corners, temples."""
SKIN_STRIDE = 6
"""Every sixth landmark on the skin of the face is fitted, and all landmarks of lips, lids, irises and the oval."""
VISIBILITY_MIN = 0.15
"""Pose points with a lower visibility are not used; the others are weighted by their visibility. With 0.3 an arm of
clip d3 jumped away and back."""
MARGIN_SHARE = 0.02
"""Points that lie outside the picture by more than this share of its longer side are guesses of the detector."""
GUESSED_SHARE, GUESSED_REACH = 0.25, 0.5
"""Weight of guessed elbows, wrists and hips, and the distance outside the picture, as a share of its longer side, up to
which they are used. Without them the hips of photo p2 were too low by the length of a thigh and the arms of clip d3
stood away from the body. Of the legs outside the picture only an ankle below a visible knee is used: without it the
shin of p2 was raised in front of his chest."""
BONES = ((11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28), (11, 23), (12, 24))
"""Pairs of pose points that measure the size of a person."""
SEEN = 0.5
"""Least visibility of both ends of such a bone."""
DEPTHS = (
    ((11,), (12,)), ((23,), (24,)), ((23, 24), (11, 12)),
    *(((number,), (11, 12)) for number in range(13, 17)), *(((number,), (23, 24)) for number in range(25, 33)),
)  # fmt: skip
"""Differences of depth that the detector's world landmarks give: of the first points and the second, means. The lean of
the torso is one of them, apart from arms against shoulders and legs against hips: it is the worst of them, because the
detector takes a person whom the camera looks down on for upright."""
LEAN = 2
"""The row of the lean. The rows before it are turns of shoulders and hips, those behind it arms, then legs."""
LEGS = LEAN + 5
"""The first row of the legs."""


def _differences() -> Float[np.ndarray, "depths keypoints"]:
    """DEPTHS as a matrix over BODY_POINTS."""
    rows = np.zeros((len(DEPTHS), len(BODY_POINTS)))
    for row, (first, second) in zip(rows, DEPTHS, strict=True):
        row[[BODY_POINTS.index(number) for number in first]] += 1 / len(first)
        row[[BODY_POINTS.index(number) for number in second]] -= 1 / len(second)
    return rows


DIFFERENCES = _differences()
FROM_WRIST = np.eye(21) - np.eye(21)[:1]
"""The depths of a hand's points behind the first one."""
ARMS = ((13, 15, "left_hand"), (14, 16, "right_hand"))


@dataclass(frozen=True)
class TargetGroup:
    """Targets of one body part. Unused entries have weight 0 and a finite target."""

    keypoints: CollapsedKeypoints
    pixels: Float[np.ndarray, "frames keypoints 2"]
    per_pixel: Float[np.ndarray, "frames keypoints"]
    """1 / sigma in pixels."""
    robust: float
    """Geman-McClure width in sigmas."""
    depth: Float[np.ndarray, "frames depths"] | None = None
    """Differences of depth, metres of a person of mean size (see `depth_at`)."""
    per_metre: Float[np.ndarray, "frames depths"] | None = None
    differences: Float[np.ndarray, "depths keypoints"] | None = None
    """Which differences: each row sums to 0."""
    robust_depth: float = np.inf
    depth_at: Float[np.ndarray, "frames"] | None = None
    """Depths of the fit are brought to the scale of the target before they are compared, because depths in metres make
    a person small whose target depths are flat. With a distance here, metres, by this distance over that of the first
    keypoint: for targets that come in pixels. Without one, by the size of the mean body over that of the fitted one."""
    is_upper_bound: bool = False
    """Whether only depths beyond the target are errors."""
    confidence: Float[np.ndarray, "frames keypoints"] | None = None
    """The detector's confidence in body points, 0..1; 0 where a point is not used."""

    def rows(self, rows: slice | np.ndarray) -> TargetGroup:
        """The same targets in a subset of the frames."""
        return TargetGroup(
            self.keypoints, self.pixels[rows], self.per_pixel[rows], self.robust,
            None if self.depth is None else self.depth[rows],
            None if self.per_metre is None else self.per_metre[rows],
            self.differences, self.robust_depth, None if self.depth_at is None else self.depth_at[rows],
            self.is_upper_bound, None if self.confidence is None else self.confidence[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Focal length and distance per frame, which convert metres at the person to pixels."""

    focal_px: float
    depth_m: Float[np.ndarray, "frames"]

    @property
    def px_per_m(self) -> Float[np.ndarray, "frames"]:
        """Pixels per metre at the person."""
        return self.focal_px / self.depth_m


def collapsed_parts(body: Body, config: TrackConfig) -> dict[str, CollapsedKeypoints]:
    """The collapsed keypoints of the body, the face, the rigid part of the face, and both hands."""
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


def target_groups(
    keypoints: dict[str, CollapsedKeypoints],
    observations: Observations,
    valid: Bool[np.ndarray, "frames 4"],
    scene: Scene,
    body: Body,
    config: TrackConfig,
) -> dict[str, TargetGroup]:
    """Targets of the parts of `collapsed_parts` in these frames; `valid` marks what the gates accept."""
    sigma = _sigma_by_name(body)
    groups = {"body": _body(keypoints["body"], observations, valid, scene, config)}
    for name in ("face", "rigid_face"):
        groups[name] = _face(observations, valid[:, 1], scene, keypoints[name], sigma, config)
    for part in PARTS[2:]:
        seen = valid[:, PARTS.index(part)]
        groups[part] = _hand(getattr(observations, part), seen, scene, keypoints[part], config)
    return groups


def with_mean_size(observations: Observations, body_seen: Bool[np.ndarray, "frames"], body: Body) -> Observations:
    """The observations with the world landmarks in metres of the mean body: the detector's own idea of a person's size
    is removed. Measured on bones of arms, legs and torso in the frames in which both ends are visible."""
    rest = dict(zip(body.keypoint_names, rest_keypoints(body), strict=True))
    seen = observations.pose[..., 2] > SEEN
    ours = theirs = 0.0
    for a, b in BONES:
        rows = body_seen & seen[:, a] & seen[:, b]
        if rows.any():
            world = observations.pose_world[rows].astype(float)
            ours += float(np.linalg.norm(rest[f"pose_{a:02d}"] - rest[f"pose_{b:02d}"]))
            theirs += float(np.median(np.linalg.norm(world[:, a] - world[:, b], axis=-1)))
    if not theirs:
        return observations
    return replace(observations, pose_world=observations.pose_world * np.float32(ours / theirs))


def _body(keypoints, observations, valid, scene, config) -> TargetGroup:
    points = observations.pose[:, list(BODY_POINTS)]
    visibility = np.nan_to_num(points[..., 2])
    if CONFIDENCE in config.gates_off:
        visibility = np.isfinite(points[..., 2]).astype(float)
    sigma = np.array([_body_sigma(number, config) for number in BODY_POINTS])
    pictured = inside_picture(points, observations.image_size)
    guessed = inside_picture(points, observations.image_size, GUESSED_REACH) & np.isin(
        BODY_POINTS, (*range(13, 17), *HIPS, *ANKLES)
    )
    for knee, ankle in zip(KNEES, ANKLES, strict=True):
        guessed[:, BODY_POINTS.index(ankle)] &= pictured[:, BODY_POINTS.index(knee)]
    believed = np.where(pictured, 1.0, GUESSED_SHARE) * visibility
    used = valid[:, :1] & (visibility > VISIBILITY_MIN) & (pictured | guessed)
    phantom = _phantom_wrists(observations, valid, pictured)
    used &= ~(np.isin(BODY_POINTS, HEAD_POINTS)[None] & valid[:, 1:2]) & ~phantom
    per_pixel = np.where(used, believed / (sigma * scene.px_per_m[:, None]), 0.0)
    depth = np.nan_to_num(observations.pose_world[:, list(BODY_POINTS), 2].astype(float)) @ DIFFERENCES.T
    usable = valid[:, :1] & inside_picture(points, observations.image_size, 0.2) & ~phantom
    seen, known = (
        np.stack([good[:, row != 0].all(1) for row in DIFFERENCES], 1) for good in (visibility > 0.5, usable)
    )
    depth_sigma = np.full(len(DEPTHS), config.sigma_arm_depth_m)
    depth_sigma[:LEAN], depth_sigma[LEAN] = config.sigma_turn_m, config.sigma_lean_m
    depth_sigma[LEGS:] = config.sigma_leg_depth_m
    depth_sigma = np.where(seen, depth_sigma, np.maximum(depth_sigma, config.sigma_hidden_depth_m))
    return TargetGroup(
        keypoints, np.nan_to_num(points[..., :2]).astype(float), per_pixel, config.robust_body,
        depth, np.where(known, 1 / depth_sigma, 0.0), DIFFERENCES, config.robust_depth,
        confidence=np.where(used, visibility, 0.0),
    )  # fmt: skip


def _phantom_wrists(observations, valid, pictured) -> Bool[np.ndarray, "frames keypoints"]:
    """Elbow and wrist of arms whose wrist lies in the picture while the elbow does not and no hand was found: the pose
    network reports the other hand as their wrist (clip d5).
    """
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


def _face(observations, seen, scene, keypoints, sigma, config) -> TargetGroup:
    numbers = [int(name.removeprefix("face_")) for name in keypoints.names]
    points = observations.face[:, numbers]
    kinds = {0.0023: config.sigma_feature_m, 0.0038: config.sigma_face_m, 0.009: config.sigma_oval_m}
    metres = np.array([kinds[min(kinds, key=lambda kind: abs(kind - sigma[name]))] for name in keypoints.names])
    used = seen[:, None] & inside_picture(points, observations.image_size)
    per_pixel = np.where(used, 1 / (metres * scene.px_per_m[:, None]), 0.0)
    return TargetGroup(keypoints, np.nan_to_num(points[..., :2]).astype(float), per_pixel, config.robust_face)


def _hand(points, seen, scene, keypoints, config) -> TargetGroup:
    used = seen[:, None] & np.isfinite(points[..., 0])
    per_pixel = np.where(used, 1 / (config.sigma_hand_m * scene.px_per_m[:, None]), 0.0)
    depth = np.nan_to_num(points[..., 2]) / scene.px_per_m[:, None]
    return TargetGroup(
        keypoints, np.nan_to_num(points[..., :2]).astype(float), per_pixel, config.robust_hand,
        depth - depth[:, :1], np.where(used, 1 / config.sigma_hand_depth_m, 0.0), FROM_WRIST, config.robust_depth,
        scene.depth_m,
    )  # fmt: skip


def inside_picture(
    points: Float[np.ndarray, "frames keypoints axes"], image_size: tuple[int, int], margin: float = MARGIN_SHARE
) -> Bool[np.ndarray, "frames keypoints"]:
    """True for points inside the picture, or outside by at most `margin` times its longer side."""
    room = margin * max(image_size)
    xy = np.nan_to_num(points[..., :2], nan=-1e9)
    return np.all((xy > -room) & (xy < np.array(image_size) + room), -1)
