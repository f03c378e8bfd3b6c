"""What the tests of contacts share: one clap of the mean body, and its swap into a heavier one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.contact_motions import Made, Moment, Script, make, scripts
from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.contacts.find import find_contacts

HEAVY = np.array([1.0, -1.5, 0, -2.0, 2.5, 2.5, 2.0, 0, 0, 0], np.float32)


@pytest.fixture(scope="session")
def hips(body: Body) -> Made:
    """Both hands on the hips of the mean body, in one of 4.4 seconds."""
    wanted = next(script for script in scripts() if script.name == "hands on hips")
    held = wanted.moments[0]
    moment = Moment(1.7, 2.7, held.left, held.right, held.touches)
    return make(body, np.zeros(10, np.float32), Script("hands on hips", 4.4, (moment,)))


@pytest.fixture(scope="session")
def contacts(body: Body, hips: Made) -> Contacts:
    """What is found in it."""
    return find_contacts(hips.motion, body)


@pytest.fixture(scope="session")
def heavier(hips: Made) -> Motion:
    """The plain swap into a heavier, taller body."""
    return replace(hips.motion, betas=HEAVY)
