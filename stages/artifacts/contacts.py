"""The contacts of a motion: which parts of the person touch, from when to when, and where on either surface.

A contact is one row: two parts and the rows of the motion in which they touch. It holds one or more touches: a touch is
a pair of points on the body's surface that stay together over some of these rows (a triangle and barycentric weights on
either side). A hand that slides along a thigh is one contact with one touch after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.schema import Field
from stages.errors import InputError

CONTACT_PARTS = (
    "left_hand", "right_hand", "left_forearm", "right_forearm", "left_upper_arm", "right_upper_arm", "face", "head",
    "neck", "chest", "belly", "hip", "back", "left_thigh", "right_thigh", "left_shin", "right_shin", "left_foot",
    "right_foot", "floor",
)  # fmt: skip
"""What a contact can be between. `left_hand` with `left_hand` is a finger with its thumb."""

CONTACT_FIELDS = (
    Field("emosh_contact_part_names", "parts", "text", "names of the parts", required=False),
    Field("emosh_contact_parts", "contacts 2", "int", "which two parts touch", required=False),
    Field("emosh_contact_rows", "contacts 2", "int", "first row of the contact, and the row after its last",
          required=False),
    Field("emosh_touch_contact", "touches", "int", "the contact that the touch belongs to", required=False),
    Field("emosh_touch_rows", "touches 2", "int", "first row of the touch, and the row after its last", required=False),
    Field("emosh_touch_faces", "touches 2", "int", "the triangle of the body on either side; -1: the floor",
          required=False),
    Field("emosh_touch_barycentric", "touches 2 3", "float", "the point in either triangle", required=False),
)  # fmt: skip


@dataclass(frozen=True)
class Contacts:
    """The contacts of one motion; see CONTACT_FIELDS. Contacts are sorted by their first row."""

    parts: Int[np.ndarray, "contacts 2"]
    """Rows of CONTACT_PARTS."""
    rows: Int[np.ndarray, "contacts 2"]
    touch_contact: Int[np.ndarray, "touches"]
    touch_rows: Int[np.ndarray, "touches 2"]
    touch_faces: Int[np.ndarray, "touches 2"]
    touch_barycentric: Float[np.ndarray, "touches 2 3"]

    def __len__(self) -> int:
        """Number of contacts."""
        return len(self.parts)

    @staticmethod
    def none() -> Contacts:
        """A motion in which nothing touches."""
        pairs = np.zeros((0, 2), np.int64)
        return Contacts(pairs, pairs, np.zeros(0, np.int64), pairs, pairs, np.zeros((0, 2, 3), np.float32))

    def of_shot(self, shot: slice) -> Contacts:
        """The contacts of the rows of one shot, counted from its first row. No contact reaches across a cut."""
        inside = (self.rows[:, 0] >= shot.start) & (self.rows[:, 0] < shot.stop)
        touches = inside[self.touch_contact]
        return Contacts(
            self.parts[inside], self.rows[inside] - shot.start, (np.cumsum(inside) - 1)[self.touch_contact[touches]],
            self.touch_rows[touches] - shot.start, self.touch_faces[touches], self.touch_barycentric[touches],
        )  # fmt: skip

    def kinds(self) -> list[str]:
        """Of each contact, its kind: the two parts without their sides, such as "hand to face"."""
        return [_kind(*(CONTACT_PARTS[part] for part in pair)) for pair in self.parts]

    def lines(self, fps: float) -> list[str]:
        """One line per contact: seconds, and the two parts."""
        return [
            f"{begin / fps:.2f} to {end / fps:.2f} s: {_said(*(CONTACT_PARTS[part] for part in pair))}"
            for (begin, end), pair in zip(self.rows.tolist(), self.parts, strict=True)
        ]


def join_contacts(shots: Sequence[Contacts], starts: Sequence[int]) -> Contacts:
    """The contacts of consecutive shots, whose first rows are `starts`, as one list; see `Contacts.of_shot`."""
    if len(shots) == 1:
        return shots[0]
    before = np.cumsum([0, *(len(each) for each in shots)])
    parts = [
        replace(
            each, rows=each.rows + start, touch_rows=each.touch_rows + start, touch_contact=each.touch_contact + earlier
        )
        for each, start, earlier in zip(shots, starts, before, strict=False)
    ]
    return Contacts(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Contacts)))


def _kind(first: str, second: str) -> str:
    """See `Contacts.kinds`."""
    if first == second:
        return "finger to thumb"
    plain = [name.removeprefix("left_").removeprefix("right_").replace("_", " ") for name in (first, second)]
    return " to ".join(plain)


def _said(first: str, second: str) -> str:
    if first == second:
        return f"{first.partition('_')[0]} thumb to finger"
    return f"{first.replace('_', ' ')} to {second.replace('_', ' ')}"


def contact_arrays(contacts: Contacts) -> dict[str, np.ndarray]:
    """The arrays of CONTACT_FIELDS."""
    return {
        "emosh_contact_part_names": np.array(CONTACT_PARTS),
        "emosh_contact_parts": contacts.parts.astype(np.int64),
        "emosh_contact_rows": contacts.rows.astype(np.int64),
        "emosh_touch_contact": contacts.touch_contact.astype(np.int64),
        "emosh_touch_rows": contacts.touch_rows.astype(np.int64),
        "emosh_touch_faces": contacts.touch_faces.astype(np.int64),
        "emosh_touch_barycentric": contacts.touch_barycentric.astype(np.float32),
    }


def contacts_from(arrays: Mapping[str, np.ndarray], frames: int, where: str) -> Contacts | None:
    """The contacts in a motion's arrays, which were checked against the schema; None if the motion has no list.

    Raises InputError for a list with only some of its arrays, with other parts, or with rows outside the motion.
    """
    missing = [field.name for field in CONTACT_FIELDS if field.name not in arrays]
    if len(missing) == len(CONTACT_FIELDS):
        return None
    if missing:
        raise InputError(f"{where}: array '{missing[0]}' is missing from the list of contacts; make the file again")
    if tuple(arrays["emosh_contact_part_names"].tolist()) != CONTACT_PARTS:
        raise InputError(f"{where}: the contacts are between parts that this emosh does not know; make the file again")
    found = Contacts(*(arrays[field.name] for field in CONTACT_FIELDS[1:]))
    ranges = {
        "emosh_contact_parts": (found.parts, 0, len(CONTACT_PARTS) - 1),
        "emosh_contact_rows": (found.rows, 0, frames),
        "emosh_touch_contact": (found.touch_contact, 0, len(found) - 1),
        "emosh_touch_rows": (found.touch_rows, 0, frames),
        "emosh_touch_faces": (found.touch_faces, -1, np.iinfo(np.int64).max),
    }
    for name, (values, lowest, highest) in ranges.items():
        if values.size and (values.min() < lowest or values.max() > highest):
            raise InputError(f"{where}: array '{name}' points outside the motion; make the file again")
    return found
