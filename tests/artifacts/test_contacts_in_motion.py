"""The list of contacts in motion.npz: round trip and damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.contacts import CONTACT_PARTS, Contacts
from stages.artifacts.motion import load_motion, save_motion, select_rows
from stages.body.model import Body
from stages.errors import InputError
from tests.motions import standing

ONE = Contacts(
    parts=np.array([[0, 6]]),
    rows=np.array([[1, 4]]),
    touch_contact=np.array([0, 0]),
    touch_rows=np.array([[1, 3], [3, 4]]),
    touch_faces=np.array([[5, 7], [5, 8]]),
    touch_barycentric=np.full((2, 2, 3), 1 / 3, np.float32),
)


def test_contacts_come_back_as_they_were_saved(body: Body, tmp_path: Path) -> None:
    """Every array of the list, and its lines for people."""
    save_motion(tmp_path / "m.npz", replace(standing(body, 4), contacts=ONE))
    loaded = load_motion(tmp_path / "m.npz").contacts
    assert loaded is not None
    for name in ("parts", "rows", "touch_contact", "touch_rows", "touch_faces", "touch_barycentric"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(ONE, name))
    assert loaded.lines(25) == ["0.04 to 0.16 s: left hand to face"]
    assert loaded.kinds() == ["hand to face"]


def test_no_list_and_an_empty_list_are_different(body: Body, tmp_path: Path) -> None:
    """None says that nobody looked; an empty list says that nothing touches."""
    save_motion(tmp_path / "none.npz", standing(body, 4))
    save_motion(tmp_path / "empty.npz", replace(standing(body, 4), contacts=Contacts.none()))
    assert load_motion(tmp_path / "none.npz").contacts is None
    empty = load_motion(tmp_path / "empty.npz").contacts
    assert empty is not None
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([[1, 9]])}, "'emosh_contact_rows' points outside the motion"),
        ({"parts": np.array([[0, len(CONTACT_PARTS)]])}, "'emosh_contact_parts' points outside the motion"),
        ({"touch_contact": np.array([0, 1])}, "'emosh_touch_contact' points outside the motion"),
        ({"touch_faces": np.array([[5, -2], [5, 8]])}, "'emosh_touch_faces' points outside the motion"),
    ],
)
def test_a_damaged_list_is_an_input_error(
    body: Body, tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    """The error names the array."""
    save_motion(tmp_path / "m.npz", replace(standing(body, 4), contacts=replace(ONE, **change)))
    with pytest.raises(InputError, match=message):
        load_motion(tmp_path / "m.npz")


def test_other_rows_have_no_list(body: Body) -> None:
    """A list belongs to the rows that it was made for."""
    assert select_rows(replace(standing(body, 4), contacts=ONE), slice(0, 2)).contacts is None
