"""Place the driver's motion in the photo: the photo keeps its framing, and the person moves from their place in it.

A joint that is not visible in the driver's picture keeps the photo's pose, and so do legs that the photo does not show.
The anchor is the first joint of pelvis, neck and head that is visible in the driver's picture. It moves as the driver's
since the first frame with a person: by the same distance in metres across the picture, and nearer or farther by the
same share of its distance, so that a step towards a distant camera does not fill the picture of a near one. Where only
one of driver and photo shows legs, nobody walks: the lowest joint of the spine that the photo shows stays in its place,
and the trunk leans. The same holds for legs that the photo shows under wide clothes, or bent to sit, if asked for.
Anchoring a reference with its own motion returns the reference exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import split_shots
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, joint_transforms, motion_template
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix

TORSO = ("pelvis", "spine1", "spine2", "spine3")
LEGS = {side: tuple(f"{side}_{name}" for name in ("hip", "knee", "ankle", "foot")) for side in ("left", "right")}
ARMS = {
    side: tuple(f"{side}_{name}" for name in ("collar", "shoulder", "elbow", "wrist")) for side in ("left", "right")
}
SMALL_FACE_PX = 55.0
"""Face height in the driver's picture below which the expression is mostly noise and is damped."""
FREE_TURN, MOST_TURN = 25.0, 40.0
"""Degrees that a head may turn out of the photo's view: all of the driver's turn up to the first, never more than the
second. Beyond, the puppet would have to show what no photo shows."""
FREE_TRUNK, MOST_TRUNK = 10.0, 20.0
"""The same for a trunk, unless a full-body driver meets a photo with legs."""
CALM_TURN, CALM_TRUNK = (12.0, 24.0), (5.0, 10.0)
"""The same for head and trunk of a photo without legs under a walking driver, here of the whole rotation: a person who
kicks with legs that nobody sees would toss about."""

SEATED_DEGREES = 45.0
"""A knee that is bent by more in the photo, and by so much more than in the video, belongs to a person who sits."""

ANCHORED = ("trans", "poses", "expression", "K")


@dataclass(frozen=True)
class VisibleParts:
    """Which parts are visible in the driver's picture, over a whole clip."""

    torso: bool
    pelvis: bool
    arms: dict[str, bool]
    hands: dict[str, bool]
    legs: dict[str, bool]
    face: bool

    @property
    def walks(self) -> bool:
        """Whether the driver's legs are seen, and the photo's if it is to move them."""
        return self.pelvis and any(self.legs.values())

    @property
    def anchor(self) -> str:
        """The joint that is placed in the photo."""
        return "pelvis" if self.walks else "neck" if self.torso else "head"


def anchor_motion(
    target: Motion,
    reference: Motion,
    body: Body,
    smoothing: float = 0.0,
    expression_smoothing: float = 0.0,
    lean_limit: float = 0.0,
    relative: bool = False,
    legs_covered: bool = False,
) -> Motion:
    """The target motion in the reference's camera and framing (`framing="ref"`). A row per row of `target`.

    Each shot is placed and smoothed alone, so the person is at their place in the photo again after a cut.
    smoothing: standard deviation in frames. lean_limit: the most that a lean of the driver is taken away, degrees.
    relative: bounded by what the photo shows. Trunk and head turn from the photo's own view, by the driver's change
    from its mean view in the shot, and at most MOST_TURN and MOST_TRUNK degrees out of it; lean_limit is then without
    effect. A full-body driver keeps its own direction in both cases, if the photo shows legs too. An arm whose elbow is
    outside the photo keeps the photo's pose, and so do legs under wide clothes (legs_covered) and those of a person who
    sits while the driver stands.
    """
    follow = legs_follow(target, reference, relative, legs_covered)
    options = smoothing, expression_smoothing, lean_limit, relative, follow
    parts = [_anchor_shot(part, reference, body, *options) for part in split_shots(target)]
    anchored = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ANCHORED}
    return replace(target, **anchored, image_size=reference.image_size)


def _anchor_shot(
    target: Motion, reference: Motion, body: Body, smoothing: float, expression_smoothing: float, lean_limit: float,
    relative: bool, follow: bool,
) -> Motion:  # fmt: skip
    rest_joints = body.J_regressor @ motion_template(body, reference)
    rotations = matrix_from_rotvec(target.poses.reshape(len(target), 55, 3).astype(np.float64))
    still = matrix_from_rotvec(reference.poses[0].reshape(55, 3).astype(np.float64))
    inside = joints_in_picture(reference, still, rest_joints, body)
    seen, stands = find_visible_parts(target, body, rest_joints), shows_legs(inside)
    calm = seen.walks and not (stands and follow)
    if stands and not follow:
        seen = _without_legs(seen)
    visible = _driven(seen, inside, relative)
    held = stands != seen.walks
    local = keep_invisible(rotations, still, visible)
    if len(target) > 1:
        local = smooth_rotations(local, smoothing, expression_smoothing)
    turned = joint_transforms(body.parents, rotations, rest_joints, target.trans)
    views = local, turned[..., :3], still, reference, visible, rest_joints, body
    local = turn_from_photo(*views, smoothing, calm) if relative else remove_lean(*views, lean_limit, smoothing)
    if held and stands:
        bend_waist(local, still)
    joint = lowest_in_picture(inside) if held else visible.anchor
    trans = place_anchor(local, turned, target, reference, still, rest_joints, body, joint, held, smoothing)
    poses = rotvec_from_matrix(local).reshape(len(target), 165).astype(np.float32)
    return replace(
        target,
        poses=poses,
        trans=trans.astype(np.float32),
        expression=smooth_expressions(target, reference, visible, expression_smoothing),
        K=np.repeat(reference.K[:1], len(target), 0),
    )


def find_visible_parts(target: Motion, body: Body, rest_joints: np.ndarray) -> VisibleParts:
    """What is visible in some shot: a joint that projects into the driver's picture in most of the shot's frames with a
    person."""
    shots = [_visible_in_shot(shot, body, rest_joints) for shot in split_shots(target)]

    def in_some(part: str) -> dict[str, bool]:
        return {side: any(getattr(shot, part)[side] for shot in shots) for side in ("left", "right")}

    return VisibleParts(
        torso=any(shot.torso for shot in shots),
        pelvis=any(shot.pelvis for shot in shots),
        arms=in_some("arms"),
        hands=in_some("hands"),
        legs=in_some("legs"),
        face=any(shot.face for shot in shots),
    )


def find_driven_parts(
    target: Motion, reference: Motion, body: Body, relative: bool, legs_covered: bool = False
) -> VisibleParts:
    """What the driver moves: the parts that it shows, without legs and arms that the photo does not show.

    relative, legs_covered: as in `anchor_motion`; without `relative` arms are moved in any case.
    """
    rest_joints = body.J_regressor @ motion_template(body, reference)
    still = matrix_from_rotvec(reference.poses[0].reshape(55, 3).astype(np.float64))
    inside = joints_in_picture(reference, still, rest_joints, body)
    seen = find_visible_parts(target, body, rest_joints)
    if not legs_follow(target, reference, relative, legs_covered):
        seen = _without_legs(seen)
    return _driven(seen, inside, relative)


def _driven(seen: VisibleParts, inside: Bool[np.ndarray, "55"], relative: bool) -> VisibleParts:
    """As `find_driven_parts`, from what the driver shows, and the photo's joints in its picture."""
    if not shows_legs(inside):
        seen = _without_legs(seen)
    if relative:
        shown = {side: bool(inside[JOINT_NAMES.index(f"{side}_elbow")]) for side in ("left", "right")}
        seen = replace(seen, arms={side: moves and shown[side] for side, moves in seen.arms.items()})
    return seen


def _without_legs(seen: VisibleParts) -> VisibleParts:
    return replace(seen, pelvis=False, legs=dict.fromkeys(seen.legs, False))


def _visible_in_shot(target: Motion, body: Body, rest_joints: np.ndarray) -> VisibleParts:
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
    return VisibleParts(
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


def shows_legs(inside: Bool[np.ndarray, "55"]) -> bool:
    """Whether hips and a knee are inside the photo. Without them a walking driver moves a trunk and a head."""
    hips, knees = ([JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right")] for name in ("hip", "knee"))
    return bool(inside[hips].all() and inside[knees].any())


def legs_follow(target: Motion, reference: Motion, relative: bool, legs_covered: bool) -> bool:
    """Whether legs that the photo shows can follow the driver's, see `anchor_motion`."""
    return not (relative and (legs_covered or sits(target, reference)))


def sits(target: Motion, reference: Motion) -> bool:
    """Whether the person in the photo sits and the driver does not, by SEATED_DEGREES."""
    bent = float(knee_bend(reference).max())
    return bent > SEATED_DEGREES and float(np.median(knee_bend(target).max(1))) < bent - SEATED_DEGREES


def knee_bend(motion: Motion) -> Float[np.ndarray, "frames 2"]:
    """Bend of both knees, degrees."""
    poses = motion.poses.reshape(len(motion), -1, 3)
    return np.degrees(
        np.linalg.norm(poses[:, [JOINT_NAMES.index(f"{side}_knee") for side in ("left", "right")]], axis=2)
    )


def lowest_in_picture(inside: Bool[np.ndarray, "55"]) -> str:
    """The lowest joint of the spine that is inside the photo; the neck without any."""
    return next((name for name in TORSO if inside[JOINT_NAMES.index(name)]), "neck")


def joints_in_picture(
    reference: Motion, still: np.ndarray, rest_joints: np.ndarray, body: Body
) -> Bool[np.ndarray, "55"]:
    """The joints that project into the photo."""
    own = joint_transforms(body.parents, still[None], rest_joints, reference.trans[:1])[0]
    joints = (own[..., :3] @ rest_joints[..., None])[..., 0] + own[..., 3]
    x, y, depth = project(joints, reference.K[0]).T
    width, height = reference.image_size
    return (x > 0) & (x < width) & (y > 0) & (y < height) & (depth > 0.1)


def walks_without_legs(
    target: Motion, reference: Motion, body: Body, relative: bool = False, legs_covered: bool = False
) -> bool:
    """Whether the driver's legs are seen but those of the photo do not follow: trunk, arms and head move alone then.

    relative, legs_covered: as in `anchor_motion`.
    """
    rest_joints = body.J_regressor @ motion_template(body, reference)
    seen = find_visible_parts(target, body, rest_joints)
    return seen.walks and not find_driven_parts(target, reference, body, relative, legs_covered).walks


def keep_invisible(
    rotations: np.ndarray, still: np.ndarray, visible: VisibleParts
) -> Float[np.ndarray, "frames 55 3 3"]:
    """Local rotations of the driver, with the photo's for parts that are not visible."""
    local = rotations.copy()

    def keep(names: tuple[str, ...]) -> None:
        rows = [JOINT_NAMES.index(name) for name in names]
        local[:, rows] = still[rows]

    if not visible.torso:
        keep(TORSO)
    for side in ("left", "right"):
        if not visible.arms[side]:
            keep(ARMS[side])
        if not (visible.arms[side] and visible.hands[side]):
            first = 25 if side == "left" else 40
            local[:, first : first + 15] = still[first : first + 15]
        if not (visible.pelvis and visible.legs[side]):
            keep(LEGS[side])
    return local


def smooth_rotations(local: np.ndarray, sigma: float, jaw_sigma: float) -> np.ndarray:
    """Gaussian smoothing of the matrices over time, projected back to rotations; jaw and eyes have their own sigma."""
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


def remove_lean(
    local: np.ndarray, driven: np.ndarray, still: np.ndarray, reference: Motion, visible: VisibleParts,
    rest_joints: np.ndarray, body: Body, limit: float, sigma: float,
) -> np.ndarray:  # fmt: skip
    """Remove the constant turn of the torso and pitch of the head between driver and photo, except for a full body.

    The head turns as in the driver's camera.
    """
    own = joint_transforms(body.parents, still[None], rest_joints, reference.trans[:1])[0, :, :, :3]
    spine, head = JOINT_NAMES.index("spine3"), JOINT_NAMES.index("head")
    full_body = visible.anchor == "pelvis"
    out = local.copy()
    if visible.torso and not full_body:
        out[:, 0] = mean_turn_to_photo(driven[:, spine], own[spine], limit) @ out[:, 0]
    if not visible.face and not visible.torso:
        return out
    head_world = smooth_joint(driven[:, head], sigma)
    if not full_body:
        head_world = median_pitch_to_photo(driven[:, head], own[head], limit) @ head_world
    return point_head(out, head_world, own, visible, rest_joints, body)


def turn_from_photo(
    local: np.ndarray, driven: np.ndarray, still: np.ndarray, reference: Motion, visible: VisibleParts,
    rest_joints: np.ndarray, body: Body, sigma: float, calm: bool,
) -> np.ndarray:  # fmt: skip
    """Trunk and head turn from the photo's own view by the driver's change from its mean view, except for a full body.

    A photo shows a person from one side only. A head that is turned in the photo and drawn face on, as the driver's,
    would be half a guess. calm: with the bounds of CALM_TURN and CALM_TRUNK.
    """
    if visible.anchor == "pelvis":
        return remove_lean(local, driven, still, reference, visible, rest_joints, body, 0.0, sigma)
    own = joint_transforms(body.parents, still[None], rest_joints, reference.trans[:1])[0, :, :, :3]
    spine, head = JOINT_NAMES.index("spine3"), JOINT_NAMES.index("head")
    out = local.copy()
    if visible.torso:
        out[:, 0] = mean_turn_to_photo(driven[:, spine], own[spine], 180.0) @ out[:, 0]
        trunk = joint_transforms(body.parents, out, rest_joints, np.zeros((len(out), 3)))[:, spine, :, :3]
        bounded = (
            bound_rotation(trunk, own[spine], *CALM_TRUNK)
            if calm
            else bound_turn(trunk, own[spine], FREE_TRUNK, MOST_TRUNK)
        )
        out[:, 0] = bounded @ np.swapaxes(trunk, -1, -2) @ out[:, 0]
    if not visible.face and not visible.torso:
        return out
    change = mean_rotation(driven[:, head]).T @ smooth_joint(driven[:, head], sigma)
    turned = own[head] @ change
    bounded = bound_rotation(turned, own[head], *CALM_TURN) if calm else bound_turn(turned, own[head])
    return point_head(out, bounded, own, visible, rest_joints, body)


def bound_rotation(
    rotations: Float[np.ndarray, "frames 3 3"], own: Float[np.ndarray, "3 3"], free: float, most: float
) -> np.ndarray:
    """The rotations, at most `most` degrees from `own` about any axis; up to `free` degrees they are kept."""
    change = rotvec_from_matrix(rotations @ own.T)
    angle = np.degrees(np.linalg.norm(change, axis=-1, keepdims=True))
    return matrix_from_rotvec(change * bounded_angle(angle, free, most) / np.maximum(angle, 1e-9)) @ own


def bounded_angle(angle: np.ndarray, free: float, most: float) -> np.ndarray:
    """The angle up to `free`, then ever less of it, and never more than `most`."""
    return np.where(angle > free, free + (most - free) * np.tanh((angle - free) / (most - free)), angle)


def bound_turn(
    rotations: Float[np.ndarray, "frames 3 3"],
    own: Float[np.ndarray, "3 3"],
    free: float = FREE_TURN,
    most: float = MOST_TURN,
) -> np.ndarray:
    """The rotations of head or trunk, at most `most` degrees out of the view `own`; up to `free` degrees they are kept.

    Between, the turn grows ever more slowly. A turn in the picture's plane shows nothing new and is kept.
    """
    from scipy.spatial.transform import Rotation

    change = rotations @ own.T
    axis = np.cross(np.array([0.0, 0.0, 1.0]), change[:, :, 2])
    sine = np.linalg.norm(axis, axis=1)
    angle = np.degrees(np.arctan2(sine, change[:, 2, 2]))
    axis /= np.maximum(sine, 1e-9)[:, None]
    back = Rotation.from_rotvec(axis * np.radians(bounded_angle(angle, free, most) - angle)[:, None]).as_matrix()
    return back @ rotations


def point_head(
    local: np.ndarray, head_world: np.ndarray, own: np.ndarray, visible: VisibleParts, rest_joints: np.ndarray,
    body: Body,
) -> np.ndarray:  # fmt: skip
    """Turn neck and head so that the head has the orientation `head_world` in the camera frame.

    If the torso is not visible, the neck takes two fifths of the turn from the photo's orientations `own`.
    """
    spine, neck, head = (JOINT_NAMES.index(name) for name in ("spine3", "neck", "head"))
    out = local
    world = joint_transforms(body.parents, out, rest_joints, np.zeros((len(out), 3)))[..., :3]
    if visible.torso:
        out[:, head] = np.swapaxes(world[:, neck], -1, -2) @ head_world
        return out
    # add the turn to the photo's neck and head in two shares
    change = head_world @ own[head].T
    share = matrix_from_rotvec(0.4 * rotvec_from_matrix(change))
    out[:, neck] = np.swapaxes(world[:, spine], -1, -2) @ share @ own[neck]
    world_neck = share @ own[neck]
    out[:, head] = np.swapaxes(world_neck, -1, -2) @ head_world
    return out


def smooth_joint(rotations: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing of one joint's rotations over time."""
    if len(rotations) < 2 or sigma <= 0:
        return rotations
    from scipy.ndimage import gaussian_filter1d

    u, _, vt = np.linalg.svd(gaussian_filter1d(rotations, sigma, axis=0, mode="nearest"))
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt


def mean_turn_to_photo(driven: np.ndarray, own: np.ndarray, limit: float) -> Float[np.ndarray, "3 3"]:
    """The turn from the driver's mean orientation to the photo's, at most `limit` degrees.

    Two fits of one torso differ by a few degrees, mostly when the hips are hidden. A person in the photo who starts to
    lean when the video begins looks worse than a lost lean.
    """
    turn = rotvec_from_matrix(own @ mean_rotation(driven).T)
    angle = float(np.linalg.norm(turn))
    return matrix_from_rotvec(turn * min(1.0, np.radians(limit) / max(angle, 1e-9)))


def mean_rotation(rotations: Float[np.ndarray, "frames 3 3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation nearest to the mean of the matrices."""
    u, _, vt = np.linalg.svd(rotations.mean(0))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return u @ vt


def median_pitch_to_photo(driven: np.ndarray, own: np.ndarray, limit: float) -> Float[np.ndarray, "3 3"]:
    """The turn about the camera's x axis from the driver's median pitch to the photo's, at most `limit` degrees."""
    forward = driven[:, :, 2]
    pitch = np.arctan2(forward[:, 1], -forward[:, 2])
    own_pitch = np.arctan2(own[1, 2], -own[2, 2])
    angle = np.clip(own_pitch - np.median(pitch), -np.radians(limit), np.radians(limit))
    return matrix_from_rotvec(np.array([angle, 0.0, 0.0]))


def bend_waist(local: np.ndarray, still: np.ndarray) -> None:
    """Give the turn of the pelvis to the lowest joint of the spine, in place: the photo's legs stay where they are."""
    spine = JOINT_NAMES.index("spine1")
    local[:, spine] = still[0].T @ local[:, 0] @ local[:, spine]
    local[:, 0] = still[0]


def place_anchor(
    local: np.ndarray, driven: np.ndarray, target: Motion, reference: Motion, still: np.ndarray,
    rest_joints: np.ndarray, body: Body, joint: str, held: bool, sigma: float,
) -> Float[np.ndarray, "frames 3"]:  # fmt: skip
    """Translations that put the anchor joint at its place in the photo plus the driver's displacement, if not held."""
    from scipy.ndimage import gaussian_filter1d

    index = JOINT_NAMES.index(joint)
    path = (driven[:, index, :, :3] @ rest_joints[index]) + driven[:, index, :, 3]
    rows = target.valid_part("body") | target.valid_part("face")
    if sigma > 0 and len(path) > 1:
        path = gaussian_filter1d(path, sigma, axis=0, mode="nearest")
    first = path[int(np.argmax(rows))]
    shift = np.zeros_like(path) if held else path - first
    own = joint_transforms(body.parents, still[None], rest_joints, reference.trans[:1])[0, index]
    home = own[:, :3] @ rest_joints[index] + own[:, 3]
    shift[:, 2] *= min(1.0, home[2] / max(float(first[2]), 0.05))
    nowhere = joint_transforms(body.parents, local, rest_joints, np.zeros((len(local), 3)))[:, index]
    return home + shift - (nowhere[..., :3] @ rest_joints[index] + nowhere[..., 3])


def smooth_expressions(
    target: Motion, reference: Motion, visible: VisibleParts, sigma: float
) -> Float[np.ndarray, "frames expression"]:
    """The driver's expression, smoothed over time and damped if the face is small; without a face, the photo's."""
    from scipy.ndimage import gaussian_filter1d

    still = np.repeat(reference.expression[:1], len(target), 0)
    if not visible.face:
        return still.astype(np.float32)
    expression = target.expression.astype(np.float64)
    if sigma > 0 and len(target) > 1:
        expression = gaussian_filter1d(expression, sigma, axis=0, mode="nearest")
    seen = target.face_height_px[target.valid_part("face")]
    trust = float(np.clip(np.median(seen) / SMALL_FACE_PX, 0.0, 1.0)) ** 2
    return (still + trust * (expression - still)).astype(np.float32)
