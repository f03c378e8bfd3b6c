"""Planted feet in another body: what stands in the driver's motion stands in the target's, and slides no more there.

The swapped motion has the driver's path of the hips and the driver's angles, so feet at the end of longer or shorter
legs move where the driver's stand still, and lie at another height. The legs are turned until each planted point moves
as the driver's does, about a place and a height of its own, and less so at the end of shorter legs. The hips and all
above them stay: the head is in the picture where the paper has it. In the driver's own body nothing changes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES
from stages.contacts.legs import Planted, on_floor, turn_legs
from stages.contacts.soles import joint_places
from stages.contacts.surface import Person

ROUNDS = 3
SHARPNESS = 32.0
"""How much more the straightest legs say about the height of the target's floor: their reach to this power."""


def plant_feet(driver: Motion, target: Motion, old: Person, new: Person, contacts: Contacts) -> Motion:
    """The target of one shot with its planted feet as still as the driver's, and with its own floor."""
    target = with_own_floor(driver, target, old, new, contacts)
    if driver.floor is None or target.floor is None or not len(on_floor(contacts)):
        return target
    planted = Planted.of(new, contacts, len(target))
    share = planted.active / np.maximum(planted.active.sum(0), 1)
    theirs = Planted.of(old, contacts, len(driver)).places(old, driver)
    middle = (theirs * share[..., None]).sum(0)
    theirs = middle + min(1.0, leg_length(new) / leg_length(old)) * (theirs - middle)
    normal, higher = driver.floor[0, :3], target.floor[0, 3] - driver.floor[0, 3]
    for _ in range(ROUNDS):
        anchor = ((planted.places(new, target) - theirs) * share[..., None]).sum(0)
        anchor += (higher - anchor @ normal)[:, None] * normal
        target = replace(target, poses=turn_legs(new, target, planted, theirs + anchor))
    return target


def leg_length(person: Person) -> float:
    """From hip to ankle along the left leg, metres."""
    hip, knee, ankle = (person.rest_joints[JOINT_NAMES.index(f"left_{name}")] for name in ("hip", "knee", "ankle"))
    return float(np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle))


def with_own_floor(driver: Motion, target: Motion, old: Person, new: Person, contacts: Contacts) -> Motion:
    """The target of one shot with the driver's floor moved up or down to its own feet.

    What counts is where its legs are straightest, because these cannot reach farther.
    """
    if driver.floor is None or not len(on_floor(contacts)):
        return target
    planted = Planted.of(new, contacts, len(target))
    apart = planted.places(new, target) - Planted.of(old, contacts, len(driver)).places(old, driver)
    weight = planted.active * _reach(new, target, contacts) ** SHARPNESS
    floor = driver.floor.copy()
    floor[:, 3] += (weight * (apart @ floor[0, :3])).sum() / weight.sum()
    return replace(target, floor=floor)


def _reach(person: Person, motion: Motion, contacts: Contacts) -> Float[np.ndarray, "frames touches"]:
    """How far the leg of each touch is stretched: distance of hip and ankle, 1 at the clip's largest."""
    joints = joint_places(person, motion)
    vertex = person.body.faces[contacts.touch_faces[on_floor(contacts), 0], 0]
    of_left = person.body.v_template[vertex, 0] > 0
    stretched = [
        np.linalg.norm(joints[:, JOINT_NAMES.index(f"{side}_hip")] - joints[:, JOINT_NAMES.index(f"{side}_ankle")],
                       axis=-1) for side in ("left", "right")
    ]  # fmt: skip
    return np.stack([each / each.max() for each in stretched], 1)[:, np.where(of_left, 0, 1)]
