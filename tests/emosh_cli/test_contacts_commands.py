"""`--no-contacts` and the list of `emosh inspect`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import load_motion, save_motion
from stages.body.model import Body
from tests.command_line import emosh
from tests.motions import standing


def touch(body: Body) -> Contacts:
    """One touch, of a point of the left hand with one of the torso."""
    hand, torso = (
        int(np.flatnonzero(body.part_vertices(part)[body.faces].all(1))[0]) for part in ("left_hand", "torso")
    )
    rows = np.array([[1, 3]])
    return Contacts(np.array([[0, 9]]), rows, np.array([0]), rows, np.array([[hand, torso]]),
                    np.full((1, 2, 3), 1 / 3, np.float32))  # fmt: skip


def test_inspect_lists_contacts(body: Body, tmp_path: Path) -> None:
    """One line per contact, and `none` for a motion in which nothing touches."""
    save_motion(tmp_path / "a.npz", replace(standing(body, 4), contacts=touch(body)))
    save_motion(tmp_path / "b.npz", replace(standing(body, 4), contacts=Contacts.none()))
    assert "0.04 to 0.12 s: left hand to chest" in emosh("inspect", tmp_path / "a.npz").out
    assert "none" in emosh("inspect", tmp_path / "b.npz").out


def test_no_contacts_is_the_plain_swap(body: Body, tmp_path: Path) -> None:
    """With --no-contacts all angles are the driver's; without it, the one touch of the list turns the left arm."""
    driver, reference = replace(standing(body, 4), contacts=touch(body)), standing(body, 1, seed=3)
    save_motion(tmp_path / "d.npz", driver)
    save_motion(tmp_path / "r.npz", reference)
    for name, flags in (("plain", ["--no-contacts"]), ("kept", [])):
        emosh("retarget", tmp_path / "d.npz", "--ref", tmp_path / "r.npz", "-o", tmp_path / f"{name}.npz", *flags)
    plain, kept = (load_motion(tmp_path / f"{name}.npz") for name in ("plain", "kept"))
    np.testing.assert_array_equal(plain.poses, driver.poses)
    assert np.abs(kept.poses - driver.poses).max() > 1e-4
    assert "contacts" in kept.provenance.notes["report"]
