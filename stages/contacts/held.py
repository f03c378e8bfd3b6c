"""A list's touches as skinned points of a person, and how firmly each is held in each row."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.contacts import Contacts
from stages.contacts.points import SkinnedPoints, skinned_in_faces
from stages.contacts.surface import Person

RAMP = (0.1, 0.4)
"""Weights of a touch in the two rows before it begins, and mirrored after it ends."""


def touch_points(person: Person, contacts: Contacts, chosen: Int[np.ndarray, "touches"], side: int) -> SkinnedPoints:
    """The chosen touches' points on the first (0) or second (1) surface."""
    faces = contacts.touch_faces[chosen, side]
    corners = np.where(faces[:, None] >= 0, person.body.faces[faces], -1).reshape(-1, 3)
    barycentric = contacts.touch_barycentric[chosen, side].reshape(-1, 3)
    return skinned_in_faces(person.body.weights, person.template, corners, barycentric)


def ramped(rows: slice, begin: int, end: int) -> Float[np.ndarray, "frames"]:
    """1 in the touch's rows, RAMP before and after them."""
    count = np.arange(rows.start, rows.stop)
    outside = np.maximum(begin - count, count - end + 1)
    return np.where(outside <= 0, 1.0, np.array([0.0, *RAMP[::-1], 0.0])[np.clip(outside, 0, len(RAMP) + 1)])
