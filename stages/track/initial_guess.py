"""A first guess of every frame from the detector's 3-D estimates, in closed form.

The root comes from the shoulders and hips of MediaPipe's world landmarks, the head from the face mesh by Kabsch, arms
and legs from the directions of their bones (elbows and knees are hinges), and the distance from the size of the face
or of the body.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.model import JOINT_NAMES, Body, rest_keypoints
from stages.body.rotations import matrix_from_rotvec, rotation_aligning, rotvec_from_matrix
from stages.detect.observations import Observations
from stages.track.collapse import Skeleton
from stages.track.regularizers import Priors
from stages.track.state import State, joint_places
from stages.track.targets import RIGID_FACE_POINTS, Scene

FACING = np.diag([1.0, -1.0, -1.0])
"""Root rotation of an upright person who faces the camera: the body's y is up, the camera's y is down."""
NECK_SHARE = 0.35
SMOOTH_SECONDS = 0.17
"""Width of the moving average over the first guess: 5 frames at 30 frames per second."""
TYPICAL_DEPTH_M = 2.5


@dataclass(frozen=True)
class Head:
    """Rotation, scale and position of the head, from the face mesh taken as a rigid body."""

    rotation: Float[np.ndarray, "frames 3 3"]
    px_per_m: Float[np.ndarray, "frames"]
    centre_px: Float[np.ndarray, "frames 2"]


@dataclass(frozen=True)
class FirstPose:
    """What of the first guess does not depend on the focal length."""

    head: Head
    root: Float[np.ndarray, "frames 3 3"]
    theta: Float[np.ndarray, "frames 54 3"]

    def select(self, rows: Int[np.ndarray, "chosen"]) -> FirstPose:
        """Some frames."""
        head = Head(self.head.rotation[rows], self.head.px_per_m[rows], self.head.centre_px[rows])
        return FirstPose(head, self.root[rows], self.theta[rows])


def first_pose(
    observations: Observations, valid: Bool[np.ndarray, "frames 4"], body: Body, priors: Priors
) -> FirstPose:
    """Head, root and joints, which need no distance from the camera."""
    frames = len(observations)
    head = _head_from_face(observations, valid[:, 1], body)
    root = _root_from_torso(observations, valid[:, 0], valid[:, 1], head.rotation)
    theta = np.broadcast_to(priors.mean[6:168].reshape(54, 3), (frames, 54, 3)).copy()
    _turn_head(theta, root, head.rotation, valid[:, 1])
    for row in np.flatnonzero(valid[:, 0]):
        _set_arms_and_legs(
            theta[row], root[row], observations.pose_world[row].astype(float), observations.pose[row, :, 2]
        )
    return FirstPose(head, root, theta)


def first_guess(
    pose: FirstPose,
    observations: Observations,
    valid: Bool[np.ndarray, "frames 4"],
    body: Body,
    skeleton: Skeleton,
    priors: Priors,
    focal_px: float,
    centre_px: tuple[float, float],
) -> tuple[State, Scene]:
    """A state close enough for Gauss-Newton, and the distances at which sigmas in metres become pixels."""
    frames, head = len(observations), pose.head
    state = State(
        np.zeros((frames, 3)), pose.root, pose.theta.copy(), np.zeros((frames, len(body.expression_names))),
        np.zeros(len(priors.shape_sigma)),
    )  # fmt: skip
    depth = _distance_m(observations, valid, head, focal_px)
    transl = _translation(observations, valid, state, skeleton, head, depth, focal_px, centre_px)
    transl = moving_average(interpolated(transl, np.any(valid[:, :2], 1)), observations.pts_seconds)
    return replace(state, transl=transl), Scene(focal_px, np.maximum(transl[:, 2], 0.2))


def _head_from_face(observations: Observations, seen: Bool[np.ndarray, "frames"], body: Body) -> Head:
    """The head from the rigid points of the face mesh, which MediaPipe gives in pixels, with depth."""
    wanted = [body.keypoint_names.index(f"face_{number:03d}") for number in RIGID_FACE_POINTS]
    model = rest_keypoints(body)[wanted]
    weights = np.ones(len(model))
    count = len(observations)
    rotation, scale, centre = np.tile(FACING, (count, 1, 1)), np.full(count, np.nan), np.full((count, 2), np.nan)
    spread = model - model.mean(0)
    for row in np.flatnonzero(seen):
        points = observations.face[row, list(RIGID_FACE_POINTS)].astype(float)
        rotation[row] = rotation_aligning(model, points, weights)
        turned = spread @ rotation[row].T
        flat = points[:, :2] - points[:, :2].mean(0)
        scale[row] = (flat * turned[:, :2]).sum() / (turned[:, :2] ** 2).sum()
        centre[row] = points[:, :2].mean(0)
    return Head(rotation, scale, centre)


def _root_from_torso(observations, body_seen, face_seen, head) -> Float[np.ndarray, "frames 3 3"]:
    """Orientation of the torso; upright and turned like the face where no body is seen."""
    world = observations.pose_world.astype(float)
    root = np.tile(FACING, (len(observations), 1, 1))
    for row in np.flatnonzero(body_seen):
        up = world[row, [11, 12]].mean(0) - world[row, [23, 24]].mean(0)
        left = world[row, 11] - world[row, 12]
        root[row] = _axes_from(left, up)
    for row in np.flatnonzero(face_seen & ~body_seen):
        root[row] = _axes_from(head[row, :, 0] * [1, 0, 1], np.array([0.0, -1.0, 0.0]))
    return _interpolated_rotations(root, body_seen | face_seen)


def _axes_from(left: Float[np.ndarray, "3"], up: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation whose columns are the body's x (left), y (up) and z (forward) axes."""
    up = up / max(np.linalg.norm(up), 1e-9)
    left = left - up * (left @ up)
    left = left / max(np.linalg.norm(left), 1e-9)
    return np.stack([left, up, np.cross(left, up)], -1)


def _turn_head(theta, root, head, seen) -> None:
    """Split the rotation of the head relative to the torso between the neck joint and the head joint."""
    between = rotvec_from_matrix(np.swapaxes(root, -1, -2) @ head)
    between[~seen] = 0
    theta[:, JOINT_NAMES.index("neck") - 1] = NECK_SHARE * between
    theta[:, JOINT_NAMES.index("head") - 1] = (1 - NECK_SHARE) * between


def _set_arms_and_legs(theta, root, world, visibility) -> None:
    """Set the joints of both arms, and of each leg whose knee is seen, in place."""
    for side, sign, shoulder, elbow, wrist in (("left", 1.0, 11, 13, 15), ("right", -1.0, 12, 14, 16)):
        upper, lower = root.T @ (world[elbow] - world[shoulder]), root.T @ (world[wrist] - world[elbow])
        turn, bend = _hinged(upper, lower, np.array([sign, 0, 0]), np.array([0, 0, 1.0]))
        theta[JOINT_NAMES.index(f"{side}_shoulder") - 1] = turn
        theta[JOINT_NAMES.index(f"{side}_elbow") - 1] = [0, -sign * bend, 0]
    for side, hip, knee, ankle in (("left", 23, 25, 27), ("right", 24, 26, 28)):
        if visibility[knee] < 0.5:
            continue
        upper, lower = root.T @ (world[knee] - world[hip]), root.T @ (world[ankle] - world[knee])
        turn, bend = _hinged(upper, lower, np.array([0, -1.0, 0]), np.array([0, 0, -1.0]))
        theta[JOINT_NAMES.index(f"{side}_hip") - 1] = turn
        theta[JOINT_NAMES.index(f"{side}_knee") - 1] = [bend, 0, 0]


def _hinged(upper, lower, along, bends_to) -> tuple[Float[np.ndarray, "3"], float]:
    """Rotation of the upper joint and angle of the hinge that make a limb along `along` follow both bones."""
    upper = upper / max(np.linalg.norm(upper), 1e-9)
    lower = lower / max(np.linalg.norm(lower), 1e-9)
    swing = shortest_rotation(along, upper)
    inner = swing.T @ lower
    third = np.cross(along, bends_to)
    across, aside = inner @ bends_to, inner @ third
    straight = np.hypot(across, aside)
    twist = np.eye(3)
    if straight > 0.15:
        twist = matrix_from_rotvec(along * np.arctan2(aside, across))
    bend = float(np.arctan2(straight, inner @ along))
    return rotvec_from_matrix(swing @ twist), bend


def shortest_rotation(source, target) -> Float[np.ndarray, "3 3"]:
    """The shortest rotation from one unit vector to another."""
    axis = np.cross(source, target)
    sine, cosine = np.linalg.norm(axis), float(source @ target)
    if sine < 1e-6:
        return np.eye(3) if cosine > 0 else matrix_from_rotvec(np.pi * np.roll(np.abs(source), 1))
    return matrix_from_rotvec(axis / sine * np.arctan2(sine, cosine))


def _distance_m(observations, valid, head: Head, focal_px: float) -> Float[np.ndarray, "frames"]:
    """Distance from the camera, metres: from the size of the face, else of the body; NaN where neither is seen."""
    depth = np.where(valid[:, 1], focal_px / np.maximum(head.px_per_m, 1e-3), np.nan)
    for row in np.flatnonzero(valid[:, 0] & ~valid[:, 1]):
        chosen = observations.pose[row, :, 2] > 0.5
        chosen[:11] = False
        if chosen.sum() < 3:
            continue
        flat = observations.pose[row, chosen, :2].astype(float)
        metres = observations.pose_world[row, chosen, :2].astype(float)
        size = np.linalg.norm(metres - metres.mean(0))
        depth[row] = focal_px * size / max(np.linalg.norm(flat - flat.mean(0)), 1e-3)
    return depth


def _translation(observations, valid, state, skeleton, head, depth, focal_px, centre_px):
    """Place the head (or the mid-shoulder where no face is seen) on its viewing ray, at the given distance."""
    origin_of = joint_places(skeleton, state)
    transl = np.full((len(state), 3), np.nan)
    shoulders = [JOINT_NAMES.index(name) for name in ("left_shoulder", "right_shoulder")]
    for row in np.flatnonzero(np.isfinite(depth)):
        if valid[row, 1]:
            pixel, origin = head.centre_px[row], origin_of[row, JOINT_NAMES.index("head")]
        else:
            pixel = observations.pose[row, [11, 12], :2].mean(0)
            origin = origin_of[row, shoulders].mean(0)
        ray = np.array([*(pixel - np.array(centre_px)) / focal_px, 1.0])
        transl[row] = ray * depth[row] - origin
    return transl


def interpolated(
    rows: Float[np.ndarray, "frames 3"], seen: Bool[np.ndarray, "frames"]
) -> Float[np.ndarray, "frames 3"]:
    """Fill gaps by linear interpolation; the first and last known values are repeated at the ends."""
    known = seen & np.isfinite(rows).all(1)
    if not known.any():
        return np.tile([0.0, 0.0, TYPICAL_DEPTH_M], (len(rows), 1))
    at = np.arange(len(rows))
    return np.stack([np.interp(at, at[known], column[known]) for column in rows.T], -1)


def _interpolated_rotations(rotation: Float[np.ndarray, "frames 3 3"], seen: Bool[np.ndarray, "frames"]):
    """Fill unseen frames by spherical interpolation; the first and last known rotations are repeated at the ends."""
    from scipy.spatial.transform import Rotation, Slerp

    known = np.flatnonzero(seen)
    if len(known) < 2:
        return rotation[known[[0] * len(rotation)]] if len(known) else rotation
    at = np.clip(np.arange(len(rotation)), known[0], known[-1])
    out = rotation.copy()
    out[~seen] = Slerp(known, Rotation.from_matrix(rotation[known]))(at[~seen]).as_matrix()
    return out


def moving_average(rows: Float[np.ndarray, "frames 3"], seconds: Float[np.ndarray, "frames"]):
    """Moving average over SMOOTH_SECONDS (paper 0.C)."""
    if len(rows) < 3:
        return rows
    step = float(np.median(np.diff(seconds))) or 1 / 30
    half = int(SMOOTH_SECONDS / step / 2)
    padded = np.pad(rows, ((half, half), (0, 0)), mode="edge")
    return np.stack([padded[row : row + 2 * half + 1].mean(0) for row in range(len(rows))])
