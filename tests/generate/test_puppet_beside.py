"""A second person or a robe beside the body is told; clothes near it and strangers apart are not."""

from __future__ import annotations

import numpy as np

from stages.generate.puppet.beside import beside_faults, beside_share
from tests.generate.conftest import Astronaut


def test_the_share_counts_what_hangs_together_far_from_the_body() -> None:
    """A neighbour who touches counts by area beyond 8 cm; a coat within 8 cm and a stranger apart do not."""
    mesh, person = np.zeros((2, 100, 200), bool)
    mesh[20:80, 60:80] = True
    person[15:85, 55:85] = True
    assert beside_share(person, mesh, 1.0) == 0
    person[20:80, 150:190] = True
    assert beside_share(person, mesh, 1.0) == 0
    person[20:80, 85:150] = True
    assert 2.5 < beside_share(person, mesh, 1.0) < 5.5


def test_a_person_alone_has_no_such_fault(astronaut: Astronaut) -> None:
    """The astronaut, whose suit is wide and whose helmet lies beside her."""
    assert beside_faults(astronaut.rgb, astronaut.motion, astronaut.puppet.rig.body) == []
