"""The body's surface in named parts, and which parts can touch which.

A part is a set of vertices: those whose strongest skinning weight belongs to one of the part's joints. Hands are
divided further (palm, five fingers), so that a touch knows which finger it is of.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from stages.artifacts.contacts import CONTACT_PARTS
from stages.body.model import JOINT_NAMES, Body

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
PIECES = (
    *(f"{side}_{piece}" for side in ("left", "right") for piece in ("palm", *FINGERS)),
    *(f"{side}_{piece}" for side in ("left", "right") for piece in ("forearm", "upper_arm", "thigh", "shin", "foot")),
    "face", "head", "neck", "chest", "belly", "hip", "back",
)  # fmt: skip
"""What the surface is divided into. A palm is the whole hand without its fingers, the hand's back too."""
_JOINTS = {
    "palm": ("wrist",), "forearm": ("elbow",), "upper_arm": ("shoulder",), "thigh": ("hip",), "shin": ("knee",),
    "foot": ("ankle", "foot"), **{finger: tuple(f"{finger}{n}" for n in (1, 2, 3)) for finger in FINGERS},
}  # fmt: skip
_TORSO = {"pelvis": "hip", "spine1": "belly", "spine2": "belly", "spine3": "chest", "left_collar": "chest",
          "right_collar": "chest", "neck": "neck", "head": "head", "jaw": "face"}  # fmt: skip
_INSIDE = ("mouth_cavity", "tongue", "teeth", "left_eyeball", "right_eyeball", "left_eye_socket", "right_eye_socket")


def piece_of_vertices(body: Body) -> Int[np.ndarray, "vertices"]:
    """Row of PIECES of each vertex; -1 inside the mouth and the eyes, which nothing touches."""
    of_joint = np.array([_piece_of_joint(name) for name in JOINT_NAMES])
    strongest = body.weights.argmax(1)
    pieces = of_joint[strongest]
    pieces[body.sets["face_skin"]] = PIECES.index("face")
    spine = body.J_regressor @ body.v_template
    torso = np.isin(pieces, [PIECES.index(name) for name in ("chest", "belly")])
    behind = body.v_template[:, 2] < spine[strongest, 2]
    pieces[torso & behind] = PIECES.index("back")
    pieces[np.any([body.sets[name] for name in _INSIDE if name in body.sets], 0)] = -1
    return pieces


def _piece_of_joint(joint: str) -> int:
    if joint in _TORSO:
        return PIECES.index(_TORSO[joint])
    side, _, name = joint.partition("_")
    for piece, joints in _JOINTS.items():
        if name in joints:
            return PIECES.index(f"{side}_{piece}")
    return PIECES.index("head")


def part_of_piece(piece: str) -> str:
    """The name in CONTACT_PARTS of one of PIECES: fingers and palm are a hand."""
    side, _, name = piece.partition("_")
    return f"{side}_hand" if name in ("palm", *FINGERS) else piece


PART_OF_PIECE = np.array([CONTACT_PARTS.index(part_of_piece(piece)) for piece in PIECES])
"""Row of CONTACT_PARTS of each of PIECES."""


def _may_touch(first: str, second: str) -> bool:
    """Whether the first piece is one that touches, and the second one that it can touch."""
    side, _, name = first.partition("_")
    if name not in ("palm", *FINGERS, "forearm"):
        return False
    own = {f"{side}_{piece}" for piece in ("palm", *FINGERS, "forearm", "upper_arm")}
    return second not in own


MAY_TOUCH: Bool[np.ndarray, "pieces pieces"] = np.array([[_may_touch(a, b) for b in PIECES] for a in PIECES])
"""Rows: pieces of hands and forearms. Columns: pieces that they can touch, or be inside of."""


def _named_first(first: str, second: str) -> bool:
    """Whether a contact of the two pieces is named in this order: hands before forearms, left before right."""
    rank = [(name.endswith("forearm"), name.startswith("right")) for name in (first, second)]
    arms = MAY_TOUCH[PIECES.index(first), PIECES.index(second)] and MAY_TOUCH[PIECES.index(second)].any()
    return not arms or rank[0] < rank[1]


NAMED: Bool[np.ndarray, "pieces pieces"] = MAY_TOUCH & [[_named_first(a, b) for b in PIECES] for a in PIECES]
"""MAY_TOUCH without the second of two ways to say the same."""
MAY_PINCH: Bool[np.ndarray, "pieces pieces"] = np.array(
    [[a.partition("_")[2] in FINGERS[1:] and b == f"{a.partition('_')[0]}_thumb" for b in PIECES] for a in PIECES]
)
"""Rows: the fingers. Columns: the thumb of the same hand."""
