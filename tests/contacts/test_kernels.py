"""The compiled loops against obvious twins in numpy, and the Jacobian against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contact_motions import Made
from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import Motion
from stages.body.model import Body, pose_motion
from stages.contacts.keep import UPPER, Swap, held_touches
from stages.contacts.points import place, skinned_vertices
from stages.contacts.solve import Task, _system, carried, turned
from stages.contacts.surface import Person, rotations_of, sample_surface

ROWS = slice(55, 59)


@pytest.fixture(scope="module")
def person(body: Body, hips: Made) -> Person:
    """The person of the motion."""
    return Person.of(body, hips.motion, sample_surface(body))


def test_skinned_points_lie_on_the_posed_mesh(body: Body, hips: Made, person: Person) -> None:
    """The same places as the forward pass, to a hundredth of a millimetre."""
    chosen = np.arange(0, len(body.v_template), 97)
    points = skinned_vertices(body.sparse_weights, person.template, chosen)
    placed = place(points, person.transforms(rotations_of(hips.motion, ROWS), hips.motion.trans[ROWS]))
    np.testing.assert_allclose(placed, pose_motion(body, hips.motion, ROWS).vertices[:, chosen], atol=1e-5)


def test_heights_agree_with_a_search_of_all_points(hips: Made, person: Person) -> None:
    """The nearest point among all that a query point may touch, and the height above its tangent plane."""
    points, normals = person.surface(person.transforms(rotations_of(hips.motion, ROWS), hips.motion.trans[ROWS]))
    limit, sampling = 0.05, person.sampling
    height, under = person.heights(points, normals, limit)
    for row in range(len(points)):
        for number in range(0, len(sampling.query), 37):
            query = sampling.query[number]
            away = np.linalg.norm(points[row] - points[row, query], axis=-1)
            away[~sampling.may_touch[sampling.piece[query], sampling.piece]] = np.inf
            nearest = int(away.argmin())
            if away[nearest] >= limit:
                assert (height[row, number], under[row, number]) == (limit, -1)
            else:
                expected = (points[row, query] - points[row, nearest]) @ normals[row, nearest]
                assert height[row, number] == pytest.approx(expected, abs=1e-9)
    again, _ = person.heights(points, normals, limit, under)
    np.testing.assert_array_equal(again, height)


def test_the_gradient_is_that_of_the_touches_distance(
    body: Body, hips: Made, heavier: Motion, contacts: Contacts
) -> None:
    """J^T r against finite differences of half the squared gaps, about offsets that are not zero."""
    swap = Swap.of(hips.motion, heavier, body)
    old = swap.old.transforms(rotations_of(hips.motion, ROWS), hips.motion.trans[ROWS])
    held = held_touches(swap.old, swap.new, contacts, np.arange(len(contacts.touch_rows)), ROWS, old)
    turning = len(UPPER.joints)
    free = np.ones((4, turning), bool)
    task = Task(swap.new, rotations_of(heavier, ROWS), heavier.trans[ROWS], UPPER, free, held, None,
                np.zeros((2, turning, 3)), (False, False), 30.0)  # fmt: skip
    random = np.random.default_rng(0)
    offsets = 0.2 * random.normal(size=(4, turning, 3))

    def cost(at: np.ndarray) -> float:
        posed = swap.new.transforms(turned(task, at), task.trans)
        apart = place(held.first, posed) - place(held.second, posed) - carried(held, posed)
        return float(0.5 * (held.weight[..., None] / 0.002**2 * apart**2).sum())

    gradient = _system(task, offsets, None)[1].reshape(offsets.shape)
    for row, joint, axis in random.integers(0, (4, turning, 3), (12, 3)):
        step = np.zeros_like(offsets)
        step[row, joint, axis] = 1e-5
        slope = (cost(offsets + step) - cost(offsets - step)) / 2e-5
        assert gradient[row, joint, axis] == pytest.approx(slope, rel=1e-4, abs=1e-2)
