"""SMPL-X's skeleton and vertex numbers, and the map from MakeHuman's 163 bones to its 55 joints.

The numbers are facts of the SMPL-X file format that programs rely on; no SMPL-X data is used.
"""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float, Int

from stages.body.model import JOINT_NAMES

_BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_HEAD_PARENTS = (15, 15, 15)
PARENTS: tuple[int, ...] = (
    *_BODY_PARENTS,
    *_HEAD_PARENTS,
    *(20 if row % 3 == 0 else 24 + row for row in range(15)),
    *(21 if row % 3 == 0 else 39 + row for row in range(15)),
)

SELECTED_VERTICES = {
    "nose": 9120, "reye": 9929, "leye": 9448, "rear": 616, "lear": 6,
    "rthumb": 8079, "rindex": 7669, "rmiddle": 7794, "rring": 7905, "rpinky": 8022,
    "lthumb": 5361, "lindex": 4933, "lmiddle": 5058, "lring": 5169, "lpinky": 5286,
    "LBigToe": 5770, "LSmallToe": 5780, "LHeel": 8846, "RBigToe": 8463, "RSmallToe": 8474, "RHeel": 8635,
}  # fmt: skip
"""The vertices that smplx appends to its joints, by smplx's names; these numbers are built into its class."""

_SIDES = {"L": "left", "R": "right"}
_MAKEHUMAN_FINGERS = {"1": "thumb", "2": "index", "3": "middle", "4": "ring", "5": "pinky"}
_RULES = (
    (r"root|spine05|pelvis", "pelvis"),
    (r"spine04", "spine1"),
    (r"spine03", "spine2"),
    (r"spine0[12]|breast", "spine3"),
    (r"clavicle|shoulder01", "{side}_collar"),
    (r"upperarm0[12]", "{side}_shoulder"),
    (r"lowerarm0[12]", "{side}_elbow"),
    (r"wrist|metacarpal[1-4]", "{side}_wrist"),
    (r"upperleg0[12]", "{side}_hip"),
    (r"lowerleg0[12]", "{side}_knee"),
    (r"foot", "{side}_ankle"),
    (r"toe", "{side}_foot"),
    (r"neck0[1-3]", "neck"),
    (r"eye", "{side}_eye_smplhf"),
    (r"jaw", "jaw"),
)


def joint(name: str) -> int:
    """Number of a joint by its smplx name."""
    return JOINT_NAMES.index(name)


def joint_of_bones(names: tuple[str, ...], parents: tuple[int, ...]) -> Int[np.ndarray, "bones"]:
    """SMPL-X joint that each MakeHuman bone moves with. Face bones below the jaw move with the jaw."""
    joints: list[int] = []
    for name, parent in zip(names, parents, strict=True):
        stem, _, letter = name.partition(".")
        finger = re.fullmatch(r"finger([1-5])-([1-3])", stem)
        target = next((target for pattern, target in _RULES if re.match(pattern, stem)), None)
        if finger:
            target = "{side}_" + _MAKEHUMAN_FINGERS[finger[1]] + finger[2]
        if target is None:
            target = "jaw" if joints[parent] == joint("jaw") else "head"
        joints.append(joint(target.format(side=_SIDES.get(letter, ""))))
    return np.array(joints)


def bone_of_joints(names: tuple[str, ...]) -> Float[np.ndarray, "55 bones"]:
    """Weights over bone starts whose mean is the position of each joint."""
    rows = np.zeros((55, len(names)))
    for letter, side in _SIDES.items():
        starts = {
            "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "collar": "clavicle", "shoulder": "upperarm01",
            "elbow": "lowerarm01", "wrist": "wrist", "eye_smplhf": "eye",
        }  # fmt: skip
        starts |= {
            f"{finger}{part}": f"finger{number}-{part}"
            for number, finger in _MAKEHUMAN_FINGERS.items()
            for part in "123"
        }
        for joint_name, bone in starts.items():
            rows[joint(f"{side}_{joint_name}"), names.index(f"{bone}.{letter}")] = 1
        for toe in "12345":
            rows[joint(f"{side}_foot"), names.index(f"toe{toe}-1.{letter}")] = 0.2
    spine = {"pelvis": "spine05", "spine1": "spine04", "spine2": "spine03", "spine3": "spine02"}
    for joint_name, bone in (spine | {"neck": "neck01", "head": "head", "jaw": "jaw"}).items():
        rows[joint(joint_name), names.index(bone)] = 1
    return rows


def renumbering(selected: dict[str, int], count: int) -> Int[np.ndarray, "vertices"]:
    """`order` such that `array[order]` has `selected[name]` at SELECTED_VERTICES[name]; all others swap places."""
    order = np.arange(count)
    place = np.arange(count)  # new position of each old vertex
    for name, target in SELECTED_VERTICES.items():
        here, old = place[selected[name]], order[target]
        order[[here, target]] = order[[target, here]]
        place[old], place[selected[name]] = here, target
    return order
