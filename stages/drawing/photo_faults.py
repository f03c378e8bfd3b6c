"""What a photo does not show, told from the body fitted to it, before anything is drawn.

A face turned away, a hand over the face, arms before the trunk and unseen hands must all be guessed by whatever draws
the person. The fitted body says so in a tenth of a second. The limits are where the puppet of made-up people is drawn
3 dB worse than from an easy photo (`python -m benchmarks.puppet_look`).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, motion_template, pose_motion
from stages.drawing.framing import find_driven_parts, find_visible_parts, knee_bend, sits
from stages.raster.rasterizer import rasterizer

TURNED_DEGREES = 20.0
"""31.7 dB in the face from 15 to 20 degrees, 29.5 from 20 to 25, 33.3 from the front."""
USUAL_PITCH = 10.0
"""The head of the fitted body looks down by so much when the face looks straight: 3 to 17 degrees on 13 photos."""
PITCHED_DEGREES = 15.0
"""From 10 to 20 degrees the face has 4 dB less than without a tilt, from 20 to 25 up to 7 dB less."""
FACE_COVERED = 0.08
"""Share of the face's pixels behind hands and forearms from which it is said: by eye, on a hand at a cheek with 0.13.
At 0.3 and more the face has 24.9 dB instead of 33.2; at 0.12 no loss was measured, once."""
TRUNK_COVERED = 0.1
"""The same of the trunk's pixels: 23.6 dB from 0.10 to 0.15, 26.8 without arms before it."""
SIDE_PX = 256
"""The body is drawn into a picture with this longer side to measure what covers what."""
SIDES = ("left", "right")
SAMPLES = 12
SHOWN = {
    "face": (),
    "trunk": ("torso",),
    "arms": ("left_arm", "right_arm"),
    "legs": ("left_leg", "right_leg", "left_foot", "right_foot"),
}
"""Groups of the body's parts of which is told how much the photo does not show. Hands are told of by themselves."""
GUESSED = {"face": 0.02, "trunk": 0.1, "arms": 0.2, "legs": 0.2}
"""Share of a group's pixels from which it is said, if the group is LEAST_SHOWN of the person's pixels. In the next
range the group has 26.4, 16.9, 15.4 and 19.8 dB, below it 31.6, 25.1, 20.0 and 28.1. Trunks have less from 0.02 on, but
among 51 pairs of 17 photos with 3 videos those up to 0.1 were good by eye."""
LEAST_SHOWN = 0.04


def photo_faults(reference: Motion, body: Body) -> list[str]:
    """What in the photo of `reference` (one row) will not be drawn well, a phrase each; empty for a good photo.

    A hand outside the picture is no fault of the photo: `unseen_hands` tells it for a motion that needs the hand.
    """
    faults = []
    posed = pose_motion(body, reference, slice(0, 1))
    if reference.valid_part("face")[0]:
        yaw, pitch = head_angles(posed.transforms[0, JOINT_NAMES.index("head"), :, :3])
        if abs(yaw) >= TURNED_DEGREES:
            faults.append(f"face turned {abs(yaw):.0f} degrees: turned heads will be guessed")
        tilt = pitch - USUAL_PITCH
        if abs(tilt) >= PITCHED_DEGREES:
            faults.append(f"face tilted {abs(tilt):.0f} degrees {'down' if tilt > 0 else 'up'}: it will be guessed")
    face, trunk = covered_shares(posed.vertices[0], reference, body)
    if face >= FACE_COVERED:
        faults.append(f"a hand or arm covers {100 * face:.0f} % of the face")
    if trunk >= TRUNK_COVERED:
        faults.append(f"arms cross the trunk ({100 * trunk:.0f} % of it): moved arms will be guessed")
    for side in SIDES:
        if not reference.valid_part(f"{side}_hand")[0] and wrist_in_picture(posed.joints[0], reference, side):
            faults.append(f"{side} hand hidden")
    return faults


def unseen_hands(reference: Motion, hands: dict[str, bool], body: Body) -> list[str]:
    """The hands outside the photo that a motion shows, a phrase each. hands: `VisibleParts.hands` of the motion."""
    joints = pose_motion(body, reference, slice(0, 1)).joints[0]
    return [
        f"{side} hand outside the photo: it will be guessed"
        for side in SIDES
        if hands[side] and not reference.valid_part(f"{side}_hand")[0] and not wrist_in_picture(joints, reference, side)
    ]


def unmoved_parts(reference: Motion, motion: Motion, body: Body, legs_covered: bool = False) -> list[str]:
    """What a motion moves and the photo shows too little of to be moved (`anchor_motion`), a phrase each.

    legs_covered: whether wide clothes cover the photo's legs.
    """
    told = []
    seen = find_visible_parts(motion, body, body.J_regressor @ motion_template(body, reference))
    driven = find_driven_parts(motion, reference, body, True, legs_covered)
    if seen.walks and not driven.walks:
        bent, straight = knee_bend(reference).max(), np.median(knee_bend(motion).max(1))
        why = "the photo no legs"
        if find_driven_parts(motion, reference, body, False).walks:
            sitting = f"the photo a person who sits (knees bent by {bent:.0f} degrees, {straight:.0f} in the video)"
            why = sitting if sits(motion, reference) else "the photo legs under wide clothes"
        told.append(f"the video shows a whole body and {why}: nobody walks, and the person hardly leans")
    still = [side for side in SIDES if seen.arms[side] and not driven.arms[side]]
    if still:
        arms = "both arms are" if len(still) == len(SIDES) else f"the {still[0]} arm is"
        told.append(f"{arms} outside the photo and not moved")
    return told


def unseen_parts(reference: Motion, motion: Motion, body: Body, still: frozenset[str] = frozenset()) -> list[str]:
    """How much of what a motion shows is not in the photo, as one phrase; empty where it is little.

    motion: the motion that is drawn, on the photo's body, in the camera of the picture that is made. still: groups of
    SHOWN that stay as the photo shows them, of which nothing is said.
    """
    told = [
        f"{100 * unseen:.0f} % of the {name}"
        for name, (unseen, shown) in unseen_shares(reference, motion, body).items()
        if name not in still and unseen >= GUESSED[name] and shown >= LEAST_SHOWN
    ]
    listed = " and ".join(filter(None, (", ".join(told[:-1]), *told[-1:])))
    return [f"{listed} that the video shows is not in the photo and will be guessed"] if told else []


def unseen_shares(reference: Motion, motion: Motion, body: Body) -> dict[str, tuple[float, float]]:
    """Per group of SHOWN: the share of its pixels, over the motion, that the photo does not show, and its share of the
    person's pixels.

    motion: the motion that is drawn, on the photo's body, in the camera of the picture that is made.
    """
    posed = pose_motion(body, reference, slice(0, 1))
    seen = seen_vertices(posed.vertices[0], reference, body)
    known = np.flatnonzero(motion.valid_part("body") | motion.valid_part("face"))
    rows = known[np.linspace(0, len(known) - 1, min(len(known), SAMPLES)).round().astype(int)] if len(known) else known
    counts = dict.fromkeys(SHOWN, np.zeros(2))
    for row in map(int, rows):
        vertices = pose_motion(body, motion, slice(row, row + 1)).vertices[0]
        corners = body.faces[_drawn(vertices, motion, row, body)]
        unseen = 1.0 - seen[corners].mean(-1)
        for name, parts in SHOWN.items():
            of_part = _members(name, parts, body)[corners].all(-1)
            counts[name] = counts[name] + (unseen[of_part].sum(), of_part.sum())
    total = max(sum(count[1] for count in counts.values()), 1.0)
    return {name: (float(count[0] / max(count[1], 1.0)), float(count[1] / total)) for name, count in counts.items()}


def _members(name: str, parts: tuple[str, ...], body: Body) -> np.ndarray:
    return body.sets["face_skin"] if name == "face" else body.part_vertices(*parts)


def _drawn(vertices: np.ndarray, motion: Motion, row: int, body: Body) -> np.ndarray:
    """The triangles that a small picture of the body shows, one per covered pixel."""
    width, height = motion.image_size
    scale = SIDE_PX / max(width, height)
    points = project(vertices, motion.K[row])
    points[:, :2] *= scale
    size = max(1, round(width * scale)), max(1, round(height * scale))
    faces = rasterizer("numba")(points.astype(np.float32), body.faces, *size).face
    return faces[faces >= 0]


def seen_vertices(
    vertices: Float[np.ndarray, "vertices 3"], reference: Motion, body: Body
) -> Bool[np.ndarray, "vertices"]:
    """The vertices that face the camera in the photo, inside it, with nothing before them; no hand that was not found.

    A limb counts as seen from both sides: the back of a sleeve looks like its front.
    """
    width, height = reference.image_size
    scale = 2 * SIDE_PX / max(width, height)
    points = project(vertices, reference.K[0])
    points[:, :2] *= scale
    size = max(1, round(width * scale)), max(1, round(height * scale))
    fragments = rasterizer("numba")(points.astype(np.float32), body.faces, *size)
    x, y = points[:, 0].astype(int), points[:, 1].astype(int)
    inside = (x >= 0) & (y >= 0) & (x < size[0]) & (y < size[1])
    shown = fragments.face[y.clip(0, size[1] - 1), x.clip(0, size[0] - 1)]
    front = points[:, 2] < fragments.depth[y.clip(0, size[1] - 1), x.clip(0, size[0] - 1)] + 0.02
    same_part = body.part[body.faces[shown][:, 0]] == body.part
    limb = body.part_vertices(*(f"{side}_{part}" for side in SIDES for part in ("arm", "leg", "foot", "hand")))
    seen = inside & (shown >= 0) & (front | (limb & same_part))
    for side in SIDES:
        if not reference.valid_part(f"{side}_hand")[0]:
            seen &= ~body.part_vertices(f"{side}_hand")
    return seen


def head_angles(rotation: Float[np.ndarray, "3 3"]) -> tuple[float, float]:
    """Yaw (positive: looks to the picture's right) and pitch (positive: looks down) of a head, in degrees.

    rotation: R_camera_head, where the head's z axis points out of the face.
    """
    x, y, z = rotation[:, 2].astype(float)
    return float(np.degrees(np.arctan2(x, -z))), float(np.degrees(np.arctan2(y, np.hypot(x, z))))


def wrist_in_picture(joints: Float[np.ndarray, "55 3"], reference: Motion, side: str) -> bool:
    """Whether the wrist of this side projects into the photo."""
    x, y = project(joints[[JOINT_NAMES.index(f"{side}_wrist")]], reference.K[0])[0, :2]
    return bool(0 <= x < reference.image_size[0] and 0 <= y < reference.image_size[1])


def covered_shares(vertices: Float[np.ndarray, "vertices 3"], reference: Motion, body: Body) -> tuple[float, float]:
    """Shares of the face and of the trunk, inside the photo, that hands and forearms hide."""
    width, height = reference.image_size
    scale = SIDE_PX / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    points = project(vertices, reference.K[0])
    points[:, :2] *= scale
    elbows = [JOINT_NAMES.index(f"{side}_elbow") for side in SIDES]
    limbs = body.part_vertices("left_hand", "right_hand") | (body.weights[:, elbows].max(1) > 0.5)

    def drawn(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        faces = body.faces[members[body.faces].all(1)]
        fragments = rasterizer("numba")(points.astype(np.float32), faces, *size)
        return np.where(fragments.face >= 0, fragments.depth, np.inf), faces[fragments.face]

    before, _ = drawn(limbs)

    def hidden(members: np.ndarray, whole: np.ndarray) -> float:
        """Share of the pixels that show `members` of `whole` behind a limb."""
        depth, corners = drawn(whole)
        shown = np.isfinite(depth) & members[corners].all(-1)
        return float((before[shown] < depth[shown]).mean()) if shown.sum() >= 16 else 0.0

    head, torso = body.part_vertices("head"), body.part_vertices("torso")
    return hidden(body.sets["face_skin"], head), hidden(torso, torso)
