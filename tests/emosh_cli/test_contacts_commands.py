"""`--no-contacts` and the list of `emosh inspect`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import Motion, load_motion, save_motion
from stages.body.model import Body
from stages.contacts.lock import lock_feet
from stages.contacts.soles import Soles
from stages.contacts.surface import Person, sample_surface
from tests.command_line import emosh
from tests.contacts.kneeling import KNEELS, kneeling
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


def knee_heights(body: Body, motion: Motion) -> Float[np.ndarray, "frames 2"]:
    """Of both knees above the motion's floor, metres."""
    assert motion.floor is not None
    soles = Soles.of(body, motion, Person.of(body, motion, sample_surface(body)))
    return soles.heights(motion.floor[0, :3])[:, 4:] - motion.floor[0, 3]


def test_who_kneels_kneels_in_another_body_and_in_the_export(body: Body, tmp_path: Path) -> None:
    """Retarget finds knees on the floor and keeps them near the taller person's own, as far as the hips let
    them; inspect lists them; the export puts them on it."""
    save_motion(tmp_path / "d.npz", kneeling(body))
    taller = np.array([2.0] + [0.0] * 9, np.float32)
    save_motion(tmp_path / "r.npz", replace(standing(body, 1), betas=taller))
    said = emosh("retarget", tmp_path / "d.npz", "--ref", tmp_path / "r.npz", "-o", tmp_path / "t.npz")
    assert "; feet: slide " in said.err
    target = load_motion(tmp_path / "t.npz")
    assert knee_heights(body, target)[5 : KNEELS - 5].min() > 0.3
    assert np.abs(knee_heights(body, target)[KNEELS + 5 : -5]).max() < 0.05
    assert np.abs(knee_heights(body, lock_feet(target, body)[0])[KNEELS + 5 : -5]).max() < 0.015
    listed = emosh("inspect", tmp_path / "t.npz").out
    for side in ("left", "right"):
        assert f"{side} shin to floor" in listed
        assert f"{side} foot to floor" in listed
    assert "feet: slide" in emosh("export", tmp_path / "t.npz", "-o", tmp_path / "t.glb").err
