"""A robe or loose hair beside the body is told, and a robe covers the legs; clothes near it and others are not."""

from __future__ import annotations

import numpy as np
import pytest

from stages.generate.puppet import beside
from stages.generate.puppet.beside import Beside, beside_body, beside_share
from tests.generate.conftest import Astronaut


def test_the_share_counts_what_hangs_together_far_from_the_body() -> None:
    """A robe that touches counts by area beyond 8 cm; a coat within 8 cm and a stranger apart do not."""
    mesh, person = np.zeros((2, 100, 200), bool)
    everywhere, below = np.ones_like(mesh), np.arange(100)[:, None] * np.ones((1, 200)) >= 50
    mesh[20:80, 60:80] = True
    person[15:85, 55:85] = True
    assert beside_share(person, mesh, 1.0, everywhere) == 0
    person[20:80, 150:190] = True
    assert beside_share(person, mesh, 1.0, everywhere) == 0
    person[20:80, 85:150] = True
    assert 2.5 < beside_share(person, mesh, 1.0, everywhere) < 5.5
    person[:50, 81:] = False
    assert 1.2 < beside_share(person, mesh, 1.0, everywhere) < 0.6 * beside_share(person, mesh, 1.0, below)


def test_a_person_alone_has_no_such_fault(astronaut: Astronaut) -> None:
    """The astronaut, whose suit is wide and whose helmet lies beside her."""
    assert beside_body(astronaut.rgb, astronaut.motion, astronaut.puppet.rig.body).faults() == []


def test_another_person_is_not_beside_the_body(astronaut: Astronaut, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is nearer to another face does not count: in a photo that is all people, with all but the mesh said to be
    others', nothing is beside the body."""
    body = astronaut.puppet.rig.body
    monkeypatch.setattr(beside, "person_matte", lambda photo, box: np.ones(photo.shape[:2]))
    assert beside_body(astronaut.rgb, astronaut.motion, body).share > 0.1
    monkeypatch.setattr(beside, "other_people", lambda photo, mesh, head: ~mesh)
    assert beside_body(astronaut.rgb, astronaut.motion, body).share == 0


def test_legs_are_covered_by_what_lies_beside_them() -> None:
    """As much cloth below the hips as legs covers them, and is told only where all of it is much."""
    assert Beside(0.3, 1.5).covers_legs
    assert not Beside(0.9, 0.5).covers_legs
    assert Beside(0.3, 1.5).faults() == []
    assert "97 %" in Beside(0.97, 1.5).faults()[0]
