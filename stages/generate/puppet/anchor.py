"""Where the driver's motion goes in the photo: the photo keeps its framing, the person moves from where they stand.

A joint that the driver's picture does not show keeps the photo's pose. The anchor is the pelvis, the neck or the head,
whichever the driver shows, and is displaced in metres as the driver's is since its first frame with a person.
Anchoring a reference with its own motion gives the reference back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, joint_transforms, motion_template
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix

TORSO = ("pelvis", "spine1", "spine2", "spine3")
LEGS = {side: tuple(f"{side}_{name}" for name in ("hip", "knee", "ankle", "foot")) for side in ("left", "right")}
ARMS = {
    side: tuple(f"{side}_{name}" for name in ("collar", "shoulder", "elbow", "wrist")) for side in ("left", "right")
}
SMALL_FACE_PX = 55.0
"""Below this the driver's expression is mostly noise and is damped."""


@dataclass(frozen=True)
class Shown:
    """Which parts the driver's picture shows, over the whole clip."""

    torso: bool
    pelvis: bool
    arms: dict[str, bool]
    hands: dict[str, bool]
    legs: dict[str, bool]
    face: bool

    @property
    def anchor(self) -> str:
        """The joint that carries the displacement."""
        return "pelvis" if self.pelvis and any(self.legs.values()) else "neck" if self.torso else "head"


def anchor(
    target: Motion, reference: Motion, body: Body, smoothing: float, expression_smoothing: float, pitch_limit: float
) -> Motion:
    """The target's rows in the reference's camera and framing (`framing="ref"`). pitch_limit in degrees."""
    rest_joints = body.J_regressor @ motion_template(body, reference)
    rotations = matrix_from_rotvec(target.poses.reshape(len(target), 55, 3).astype(np.float64))
    still = matrix_from_rotvec(reference.poses[0].reshape(55, 3).astype(np.float64))
    shown = what_is_shown(target, body, rest_joints)
    local = keep_unseen(rotations, still, shown)
    if len(target) > 1:
        local = smooth_rotations(local, smoothing, expression_smoothing)
    turned = joint_transforms(body.parents, rotations, rest_joints, target.trans)
    local = level(local, turned[..., :3], still, reference, shown, rest_joints, body, pitch_limit, smoothing)
    trans = place(local, turned, target, reference, still, rest_joints, body, shown.anchor, smoothing)
    poses = rotvec_from_matrix(local).reshape(len(target), 165).astype(np.float32)
    return replace(
        target,
        poses=poses,
        trans=trans.astype(np.float32),
        expression=expressions(target, reference, shown, expression_smoothing),
        K=np.repeat(reference.K[:1], len(target), 0),
        image_size=reference.image_size,
    )


def what_is_shown(target: Motion, body: Body, rest_joints: np.ndarray) -> Shown:
    """A joint is shown when it projects inside the driver's picture in most of the frames that have a person."""
    rotations = matrix_from_rotvec(target.poses.reshape(len(target), 55, 3).astype(np.float32))
    transforms = joint_transforms(body.parents, rotations, rest_joints, target.trans)
    joints = (transforms[..., :3] @ rest_joints[None, :, :, None])[..., 0] + transforms[..., 3]
    pixels = project(joints, target.K)
    width, height = target.image_size
    inside = (pixels[..., 0] > 0) & (pixels[..., 0] < width) & (pixels[..., 1] > 0) & (pixels[..., 1] < 1.02 * height)
    inside &= pixels[..., 2] > 0.1
    rows = target.valid_part("body")
    share = inside[rows].mean(0) if rows.any() else np.zeros(55)
    parts = {name: float(share[index]) for index, name in enumerate(JOINT_NAMES)}
    shoulders = min(parts["left_shoulder"], parts["right_shoulder"])
    hands = {side: bool(target.valid_part(f"{side}_hand").mean() > 0.1) for side in ("left", "right")}
    torso = shoulders > 0.5
    return Shown(
        torso=torso,
        pelvis=torso and min(parts["left_hip"], parts["right_hip"]) > 0.5,
        arms={
            side: torso and (parts[f"{side}_elbow"] > 0.3 or parts[f"{side}_wrist"] > 0.15 or hands[side])
            for side in ("left", "right")
        },
        hands=hands,
        legs={side: parts[f"{side}_knee"] > 0.5 for side in ("left", "right")},
        face=bool(target.valid_part("face").any()),
    )


def keep_unseen(rotations: np.ndarray, still: np.ndarray, shown: Shown) -> Float[np.ndarray, "frames 55 3 3"]:
    """Local rotations with the photo's own where the driver shows nothing."""
    local = rotations.copy()

    def keep(names: tuple[str, ...]) -> None:
        rows = [JOINT_NAMES.index(name) for name in names]
        local[:, rows] = still[rows]

    if not shown.torso:
        keep(TORSO)
    for side in ("left", "right"):
        if not shown.arms[side]:
            keep(ARMS[side])
        if not (shown.arms[side] and shown.hands[side]):
            first = 25 if side == "left" else 40
            local[:, first : first + 15] = still[first : first + 15]
        if not (shown.pelvis and shown.legs[side]):
            keep(LEGS[side])
    return local


def smooth_rotations(local: np.ndarray, sigma: float, jaw_sigma: float) -> np.ndarray:
    """Gaussian over time on the matrices, projected back to rotations; jaw and eyes with their own sigma."""
    from scipy.ndimage import gaussian_filter1d

    quick = [JOINT_NAMES.index(name) for name in ("jaw", "left_eye_smplhf", "right_eye_smplhf")]
    slow = np.setdiff1d(np.arange(55), quick)
    out = local.copy()
    for rows, width in ((slow, sigma), (quick, jaw_sigma)):
        if width > 0:
            u, _, vt = np.linalg.svd(gaussian_filter1d(local[:, rows], width, axis=0, mode="nearest"))
            turn = np.sign(np.linalg.det(u @ vt))
            u[..., 2] *= turn[..., None]
            out[:, rows] = u @ vt
    return out


def level(
    local: np.ndarray, driven: np.ndarray, still: np.ndarray, reference: Motion, shown: Shown,
    rest_joints: np.ndarray, body: Body, limit: float, sigma: float,
) -> np.ndarray:  # fmt: skip
    """Take out the constant turn of the torso and pitch of the head between driver and photo; not for a full body.

    The head turns as in the driver's camera; where the torso is the photo's, the neck takes two fifths of the turn.
    """
    own = joint_transforms(body.parents, still[None], rest_joints, reference.trans[:1])[0, :, :, :3]
    spine, neck, head = (JOINT_NAMES.index(name) for name in ("spine3", "neck", "head"))
    full = shown.anchor == "pelvis"
    out = local.copy()
    if shown.torso and not full:
        out[:, 0] = turn_back(driven[:, spine], own[spine], limit) @ out[:, 0]
    if not shown.face and not shown.torso:
        return out
    wanted = smooth_one(driven[:, head], sigma)
    if not full:
        wanted = pitch_back(driven[:, head], own[head], limit) @ wanted
    world = joint_transforms(body.parents, out, rest_joints, np.zeros((len(out), 3)))[..., :3]
    if shown.torso:
        out[:, head] = np.swapaxes(world[:, neck], -1, -2) @ wanted
        return out
    # from the photo's own neck and head, add the difference in two shares
    change = wanted @ own[head].T
    share = matrix_from_rotvec(0.4 * rotvec_from_matrix(change))
    out[:, neck] = np.swapaxes(world[:, spine], -1, -2) @ share @ own[neck]
    world_neck = share @ own[neck]
    out[:, head] = np.swapaxes(world_neck, -1, -2) @ wanted
    return out


def smooth_one(rotations: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian over time of one joint's rotations."""
    if len(rotations) < 2 or sigma <= 0:
        return rotations
    from scipy.ndimage import gaussian_filter1d

    u, _, vt = np.linalg.svd(gaussian_filter1d(rotations, sigma, axis=0, mode="nearest"))
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt


def turn_back(driven: np.ndarray, own: np.ndarray, limit: float) -> Float[np.ndarray, "3 3"]:
    """The turn that brings the driver's mean orientation to the photo's, cut to `limit` degrees.

    Two fits of one torso differ by some degrees, above all where hips are hidden; a photo that starts to lean when
    it comes to life is worse than a lean that is lost.
    """
    u, _, vt = np.linalg.svd(driven.mean(0))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    turn = rotvec_from_matrix(own @ (u @ vt).T)
    angle = float(np.linalg.norm(turn))
    return matrix_from_rotvec(turn * min(1.0, np.radians(limit) / max(angle, 1e-9)))


def pitch_back(driven: np.ndarray, own: np.ndarray, limit: float) -> Float[np.ndarray, "3 3"]:
    """The turn about the camera's x axis that brings the driver's median pitch to the photo's, at most `limit` deg."""
    forward = driven[:, :, 2]
    pitch = np.arctan2(forward[:, 1], -forward[:, 2])
    mine = np.arctan2(own[1, 2], -own[2, 2])
    angle = np.clip(mine - np.median(pitch), -np.radians(limit), np.radians(limit))
    return matrix_from_rotvec(np.array([angle, 0.0, 0.0]))


def place(
    local: np.ndarray, driven: np.ndarray, target: Motion, reference: Motion, still: np.ndarray,
    rest_joints: np.ndarray, body: Body, joint: str, sigma: float,
) -> Float[np.ndarray, "frames 3"]:  # fmt: skip
    """Translations that put the anchor joint where it stands in the photo plus the driver's displacement."""
    from scipy.ndimage import gaussian_filter1d

    index = JOINT_NAMES.index(joint)
    path = (driven[:, index, :, :3] @ rest_joints[index]) + driven[:, index, :, 3]
    rows = target.valid_part("body") | target.valid_part("face")
    if sigma > 0 and len(path) > 1:
        path = gaussian_filter1d(path, sigma, axis=0, mode="nearest")
    shift = path - path[int(np.argmax(rows))]
    own = joint_transforms(body.parents, still[None], rest_joints, reference.trans[:1])[0, index]
    home = own[:, :3] @ rest_joints[index] + own[:, 3]
    nowhere = joint_transforms(body.parents, local, rest_joints, np.zeros((len(local), 3)))[:, index]
    return home + shift - (nowhere[..., :3] @ rest_joints[index] + nowhere[..., 3])


def expressions(
    target: Motion, reference: Motion, shown: Shown, sigma: float
) -> Float[np.ndarray, "frames expression"]:
    """The driver's expression, smoothed over time, damped where the driver's face is small, else the photo's."""
    from scipy.ndimage import gaussian_filter1d

    still = np.repeat(reference.expression[:1], len(target), 0)
    if not shown.face:
        return still.astype(np.float32)
    expression = target.expression.astype(np.float64)
    if sigma > 0 and len(target) > 1:
        expression = gaussian_filter1d(expression, sigma, axis=0, mode="nearest")
    seen = target.face_height_px[target.valid_part("face")]
    trust = float(np.clip(np.median(seen) / SMALL_FACE_PX, 0.0, 1.0)) ** 2
    return (still + trust * (expression - still)).astype(np.float32)
