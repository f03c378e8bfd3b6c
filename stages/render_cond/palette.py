"""Lines and colours of the hybrid condition map, version hybrid-1.

Read from the paper's own maps (Fig. 2 of arXiv 2606.28026): OpenPose's hues at 60 % for the limbs, purple dots on
shoulders, neck and hips; pale dots on elbows, wrists, knees and ankles; fingers from dark at the palm to bright at the
tip, with white crosses; the person's right brow and eye blue, the left ones red; white lips.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "hybrid-1"

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Bone:
    """A tapered limb between two SMPL-X joints; `parts` are the body parts through which it is visible."""

    start: str
    end: str
    colour: RGB
    parts: tuple[str, ...]


BONES = (
    Bone("neck", "right_shoulder", (0, 99, 153), ("torso", "right_arm", "head")),
    Bone("neck", "left_shoulder", (153, 75, 0), ("torso", "left_arm", "head")),
    Bone("right_shoulder", "right_elbow", (0, 59, 153), ("right_arm",)),
    Bone("left_shoulder", "left_elbow", (153, 59, 0), ("left_arm",)),
    Bone("right_elbow", "right_wrist", (0, 120, 153), ("right_arm", "right_hand")),
    Bone("left_elbow", "left_wrist", (153, 120, 0), ("left_arm", "left_hand")),
    Bone("neck", "pelvis", (75, 0, 75), ("torso", "head")),
    Bone("pelvis", "right_hip", (0, 0, 153), ("torso", "right_leg", "left_leg")),
    Bone("pelvis", "left_hip", (153, 153, 0), ("torso", "left_leg", "right_leg")),
    Bone("right_hip", "right_knee", (0, 0, 115), ("torso", "right_leg")),
    Bone("left_hip", "left_knee", (140, 153, 0), ("torso", "left_leg")),
    Bone("right_knee", "right_ankle", (40, 0, 153), ("right_leg", "right_foot")),
    Bone("left_knee", "left_ankle", (100, 153, 0), ("left_leg", "left_foot")),
)

PURPLE: RGB = (140, 0, 140)
PALE: RGB = (205, 205, 205)
WHITE: RGB = (255, 255, 255)

JOINT_DOTS = {
    "neck": PURPLE, "left_shoulder": PURPLE, "right_shoulder": PURPLE, "pelvis": PURPLE, "left_hip": PURPLE,
    "right_hip": PURPLE, "left_elbow": PALE, "right_elbow": PALE, "left_wrist": PALE, "right_wrist": PALE,
    "left_knee": PALE, "right_knee": PALE, "left_ankle": PALE, "right_ankle": PALE,
}  # fmt: skip

FINGERS = {
    (0, 1, 2, 3, 4): ((0, 0, 150), (0, 0, 205), (0, 0, 255), (70, 70, 255)),
    (0, 5, 6, 7, 8): ((0, 80, 0), (0, 150, 0), (0, 205, 0), (30, 255, 30)),
    (0, 9, 10, 11, 12): ((100, 0, 0), (150, 0, 0), (205, 0, 0), (255, 30, 30)),
    (0, 13, 14, 15, 16): ((0, 150, 150), (0, 190, 190), (0, 225, 225), (60, 255, 255)),
    (0, 17, 18, 19, 20): ((160, 0, 160), (200, 0, 200), (235, 0, 235), (255, 70, 255)),
}
"""MediaPipe hand points from wrist to fingertip -> one colour per segment. Order: thumb, index to little finger."""

BLUE: RGB = (0, 0, 255)
RED: RGB = (255, 0, 0)
MAGENTA: RGB = (230, 60, 255)
YELLOW: RGB = (255, 255, 30)


@dataclass(frozen=True)
class FaceLine:
    """A polyline through MediaPipe face landmarks."""

    points: tuple[int, ...]
    colour: RGB
    closed: bool = False


FACE_LINES = (
    FaceLine((46, 53, 52, 65, 55), BLUE),
    FaceLine((70, 63, 105, 66, 107), BLUE),
    FaceLine((276, 283, 282, 295, 285), RED),
    FaceLine((300, 293, 334, 296, 336), RED),
    FaceLine((33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246), BLUE, closed=True),
    FaceLine((263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466), RED, closed=True),
    FaceLine((469, 470, 471, 472), MAGENTA, closed=True),
    FaceLine((474, 475, 476, 477), YELLOW, closed=True),
    FaceLine((61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185), WHITE, True),
    FaceLine((78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191), WHITE, True),
)
