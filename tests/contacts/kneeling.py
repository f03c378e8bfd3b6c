"""Somebody who stands for a second, then kneels upright on both knees for a second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.foot_motions import foot_scripts, make_steps
from stages.artifacts.motion import Motion, select_rows
from stages.body.model import Body
from stages.contacts.soles import Soles
from stages.contacts.surface import Person, sample_surface
from tests.motions import joint

KNEELS = 30
"""First row of kneeling, of 60."""


def kneeling(body: Body) -> Motion:
    """The motion, without floor and contacts. Knees and feet are on the true floor, 1.3 m below a level camera."""
    made = make_steps(body, np.zeros(10, np.float32), foot_scripts()[4])
    motion = select_rows(made.motion, slice(0, 2 * KNEELS))
    poses, trans = motion.poses.copy(), motion.trans.copy()
    for side in ("left", "right"):
        poses[KNEELS:, joint(f"{side}_hip")] = 0
        poses[KNEELS:, joint(f"{side}_knee")] = (1.57, 0, 0)
        poses[KNEELS:, joint(f"{side}_ankle")] = (0.5, 0, 0)
    motion = replace(motion, poses=poses)
    soles = Soles.of(body, motion, Person.of(body, motion, sample_surface(body)))
    trans[KNEELS:, 1] += soles.heights(made.floor[:3])[KNEELS:, 4:].mean() - made.floor[3]
    return replace(motion, trans=trans)
