"""The body part of each vertex, and the named vertex sets that drawing needs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.anny_source import AnnySource
from stages.body.model import PART_NAMES, SET_NAMES
from stages.body.smplx_layout import joint

IRIS_RADIUS = 0.55
"""Radius of the iris as a share of the eyeball's radius, seen from the front: about 6 mm, as in an adult."""

_PART_OF_JOINT = {
    "pelvis": "torso", "spine1": "torso", "spine2": "torso", "spine3": "torso", "neck": "torso", "left_collar": "torso",
    "right_collar": "torso", "head": "head", "jaw": "head", "left_eye_smplhf": "head", "right_eye_smplhf": "head",
} | {
    f"{side}_{name}": f"{side}_{part}"
    for side in ("left", "right")
    for name, part in {
        "shoulder": "arm", "elbow": "arm", "hip": "leg", "knee": "leg", "ankle": "foot", "foot": "foot",
    }.items()
}  # fmt: skip


def part_of_vertices(weights: Float[np.ndarray, "vertices 55"]) -> Int[np.ndarray, "vertices"]:
    """Part of the joint that moves each vertex most, as index into PART_NAMES. Wrist and finger joints are the hand."""
    part_of_joint = np.zeros(55, np.int64)
    for name, part in _PART_OF_JOINT.items():
        part_of_joint[joint(name)] = PART_NAMES.index(part)
    for side, wrist, first in (("left", 20, 25), ("right", 21, 40)):
        part_of_joint[[wrist, *range(first, first + 15)]] = PART_NAMES.index(f"{side}_hand")
    share = weights @ np.eye(len(PART_NAMES))[part_of_joint]
    return share.argmax(1)


def named_sets(
    source: AnnySource, vertices: Float[np.ndarray, "vertices 3"], weights: Float[np.ndarray, "vertices 55"]
) -> dict[str, Bool[np.ndarray, "vertices"]]:
    """SET_NAMES from anny's segmentation and bones; lips and brows are added later, from the face landmarks."""
    sets = {name: np.zeros(len(vertices), bool) for name in SET_NAMES}
    sets["mouth_cavity"], sets["tongue"] = source.segments["mouth_cavity"], source.segments["tongue"]
    for side, letter in (("left", "L"), ("right", "R")):
        eyeball = source.segments[f"eye_front.{letter}"] | source.segments[f"eye_back.{letter}"]
        sets[f"{side}_eyeball"] = eyeball
        sets[f"{side}_iris"] = eyeball & iris_vertices(vertices, eyeball)
        sets[f"{side}_eye_socket"] = source.segments[f"eye_cavity.{letter}"] & ~eyeball
        lids = [source.bone_names.index(f"orbicularis0{number}.{letter}") for number in (3, 4)]
        sets[f"{side}_eyelids"] = source.weights[:, lids].sum(1) > 0.3
    inner = sets["mouth_cavity"] | sets["tongue"]
    for side in ("left", "right"):
        inner = inner | sets[f"{side}_eyeball"] | sets[f"{side}_eye_socket"]
    head = part_of_vertices(weights) == PART_NAMES.index("head")
    centre = vertices[head & ~inner].mean(0)
    sets["face_skin"] = head & ~inner & (vertices[:, 2] > centre[2])
    return sets


def iris_vertices(vertices: np.ndarray, eyeball: np.ndarray) -> Bool[np.ndarray, "vertices"]:
    """Mask of the vertices in front of the eyeball's centre and near its axis."""
    low, high = vertices[eyeball].min(0), vertices[eyeball].max(0)
    centre, radius = (low + high) / 2, (high - low)[1] / 2
    offset = vertices - centre
    return (np.linalg.norm(offset[:, :2], axis=1) < IRIS_RADIUS * radius) & (offset[:, 2] > 0)
