"""The compiled loops against obvious twins in numpy, and the Jacobian against finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.contact_motions import Made
from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import Motion
from stages.body.model import Body, pose_motion
from stages.contacts.keep import UPPER, Swap, heights_in, held_touches
from stages.contacts.kernels import spread
from stages.contacts.points import place, skinned_vertices
from stages.contacts.solve import REACH_M, Piece, Task, carried, turned
from stages.contacts.surface import PUSHED_SAG_M, Person, rotations_of, sample_surface
from stages.raster.shading import vertex_normals

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

    gradient = Piece(task).system(offsets)[1].reshape(offsets.shape)
    for row, joint, axis in random.integers(0, (4, turning, 3), (12, 3)):
        step = np.zeros_like(offsets)
        step[row, joint, axis] = 1e-5
        slope = (cost(offsets + step) - cost(offsets - step)) / 2e-5
        assert gradient[row, joint, axis] == pytest.approx(slope, rel=1e-4, abs=1e-2)


def test_the_pressed_points_are_those_that_a_small_step_leaves_too_low(
    body: Body, hips: Made, heavier: Motion, contacts: Contacts
) -> None:
    """Heights after the step above the same surface points, against what is expected of it."""
    swap = Swap.of(hips.motion, heavier, body)
    old = swap.old.transforms(rotations_of(hips.motion, ROWS), hips.motion.trans[ROWS])
    held = held_touches(swap.old, swap.new, contacts, np.arange(0), ROWS, old)
    turning = len(UPPER.joints)
    least = heights_in(swap.new, heavier, ROWS) + np.random.default_rng(0).normal(size=(4, len(swap.new.sampling.query))
                                                                                  ) * 0.0005  # fmt: skip
    task = Task(swap.new, rotations_of(heavier, ROWS), heavier.trans[ROWS], UPPER, np.ones((4, turning), bool), held,
                least, np.zeros((2, turning, 3)), (False, False), 30.0)  # fmt: skip
    offsets, piece = np.zeros((4, turning, 3)), Piece(task)
    piece.system(offsets)
    step = 1e-3 * np.random.default_rng(1).normal(size=offsets.shape)
    piece.press(step)
    before, moved = Piece(task), Piece(task)
    before.system(offsets)
    moved.under = before.under
    moved.system(step, search=False)
    assert moved.asked is not None
    assert before.under is not None
    height = moved.asked[0][3]
    clear = (np.abs(height - least) > 2e-5) & (before.under >= 0)
    assert clear.sum() > 500
    np.testing.assert_array_equal(piece.pressed[clear], (height < least)[clear])
    assert 0.2 < piece.pressed[clear].mean() < 0.8
    far = Piece(replace(task, least=least - 2 * REACH_M))
    far.system(offsets)
    far.press(step)
    assert not far.pressed.any()


def test_a_person_between_two_has_the_shape_between(body: Body, hips: Made, heavier: Motion, person: Person) -> None:
    """Half way from the mean to a heavier body: that of half the shape."""
    sampling = person.sampling
    half = person.towards(Person.of(body, heavier, sampling), 0.5)
    wanted = Person.of(body, replace(heavier, betas=heavier.betas / 2), sampling)
    np.testing.assert_allclose(half.points.at, wanted.points.at, atol=1e-6)
    np.testing.assert_allclose(half.rest_joints, wanted.rest_joints, atol=1e-5)
    lengths = np.linalg.norm(half.rest_normals, axis=-1, keepdims=True)
    assert np.percentile((half.rest_normals / lengths * wanted.rest_normals).sum(-1), 1) > 0.99


def test_pushed_points_stand_for_all_points_of_hands_and_forearms(body: Body) -> None:
    """Each has a query point of its piece that is near, and whose plane it lies in: the tip of an elbow too."""
    sampling = sample_surface(body, PUSHED_SAG_M)
    normals = vertex_normals(body.v_template, body.faces)
    for piece in np.unique(sampling.piece[sampling.query]):
        points = sampling.vertices[sampling.piece == piece]
        query = sampling.vertices[sampling.query[sampling.piece[sampling.query] == piece]]
        apart = body.v_template[points][:, None] - body.v_template[query]
        near = np.linalg.norm(apart, axis=-1) < 0.021
        flat = np.abs((apart * normals[query]).sum(-1)) <= PUSHED_SAG_M
        assert (near & flat).any(1).all()


def test_spread_points_are_those_of_a_search_of_all_pairs() -> None:
    """In order, each point that no kept one stands for: none is within the spacing and near the kept one's plane."""
    random = np.random.default_rng(0)
    places, normals = random.random((300, 3)), random.normal(size=(300, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    order, spacing, sag = random.permutation(200), 0.2, 0.08
    kept = np.zeros(len(order), bool)
    spread(places, normals, order, spacing, sag, kept)
    chosen: list[int] = []
    for point in order.tolist():
        apart = places[point] - places[chosen]
        near = np.linalg.norm(apart, axis=-1) <= spacing
        if not (near & (np.abs((apart * normals[chosen]).sum(-1)) <= sag)).any():
            chosen.append(point)
    assert order[kept].tolist() == chosen
    assert 20 < len(chosen) < 180
