"""Regions, anchors, suppression, heat maps and smoothing, by what must hold for any numbers."""

from __future__ import annotations

import numpy as np
import pytest

from stages.networks.detection import FAR_FACES, NEAR_FACES, PALMS, PEOPLE, anchors, merged
from stages.networks.pose import refined
from stages.networks.region import (
    Region,
    angle_of,
    around_circle,
    around_turned_box,
    follows,
    whole,
)
from stages.networks.smoothing import OneEuro

REGION = Region(np.array([120.0, 80.0]), 60.0, 0.4)


def test_own_axes_and_the_picture_are_inverse() -> None:
    """Points of a region placed in the picture come back along the region's axes; depth is scaled by the side."""
    points = np.random.default_rng(0).uniform(0, 1, (9, 3))
    placed = REGION.to_picture(points)
    np.testing.assert_allclose(REGION.to_own(placed) / REGION.side + 0.5, points[:, :2], atol=1e-12)
    np.testing.assert_allclose(placed[:, 2], points[:, 2] * 60)


def test_a_cut_shows_what_lies_there() -> None:
    """A bright dot is at the place in the cut that the region gives it; outside the picture the cut is black or
    repeats the border."""
    rgb = np.full((200, 240, 3), 10, np.uint8)
    place = REGION.to_picture(np.array([[0.25, 0.7]]))[0]
    rows, columns = np.mgrid[:200, :240]
    rgb[np.hypot(columns - place[0], rows - place[1]) < 2.5] = 250
    cut = REGION.cut(rgb, 128)[..., 0]
    seen = np.argwhere(cut > 130)[:, ::-1].mean(0) / 128
    np.testing.assert_allclose(seen, [0.25, 0.7], atol=0.01)
    outside = Region(np.array([0.0, 0.0]), 80.0)
    assert outside.cut(rgb, 64, zero_outside=True)[0, 0, 0] == 0
    assert outside.cut(rgb, 64)[0, 0, 0] == 10


def test_regions_stand_as_asked() -> None:
    """In a region made from a vector the vector points to the asked side; turned boxes hold their points exactly."""
    start, end = np.array([10.0, 20.0]), np.array([40.0, 5.0])
    for degrees, direction in ((0, [1, 0]), (90, [0, -1]), (-90, [0, 1])):
        region = Region(start, 1.0, angle_of(start, end, degrees))
        own = region.to_own(end[None])[0]
        np.testing.assert_allclose(own / np.linalg.norm(own), direction, atol=1e-9)
    assert around_circle(start, end, 90).side == pytest.approx(2 * np.hypot(30, 15))
    points = np.random.default_rng(1).normal(0, 30, (20, 2))
    own = np.abs(around_turned_box(points, 0.7).to_own(points))
    assert own.max() == pytest.approx(around_turned_box(points, 0.7).side / 2)
    assert whole(np.zeros((20, 50, 3), np.uint8)).side == 50


def test_scaling_moves_up_first() -> None:
    """`scaled` moves by a share of the old side along the region's own up, then scales."""
    moved = REGION.scaled(2.0, 0.1)
    np.testing.assert_allclose(REGION.to_own(moved.centre[None])[0], [0, -6], atol=1e-9)
    assert moved.side == 120


def test_a_region_is_followed_within_limits_only() -> None:
    """The region before is kept for a small change, and not after a turn, a shift, a growth, or a point outside."""
    limits = {"degrees": 15, "shift": 0.1, "scale": 0.3, "margin": -0.2}
    points = REGION.centre[None] + [[5, 5], [-5, 3]]
    x, _ = REGION.axes
    assert follows(REGION, points, REGION, **limits)
    assert follows(Region(REGION.centre, 60, REGION.angle + 2 * np.pi), points, REGION, **limits)
    assert not follows(Region(REGION.centre, 60, REGION.angle + 0.3), points, REGION, **limits)
    assert not follows(Region(REGION.centre + 7 * x, 60, REGION.angle), points, REGION, **limits)
    assert not follows(Region(REGION.centre, 80, REGION.angle), points, REGION, **limits)
    assert not follows(REGION, REGION.centre[None] + 25 * x, REGION, **limits)


def test_anchors_are_as_many_as_the_networks_rows() -> None:
    """2254, 896, 2304 and 2016 boxes, inside the picture, the first in its top left corner."""
    for detector, count in ((PEOPLE, 2254), (NEAR_FACES, 896), (FAR_FACES, 2304), (PALMS, 2016)):
        places = anchors(detector)
        assert places.shape == (count, 2)
        assert places.min() > 0
        assert places.max() < 1
        assert places[0].max() < 0.05


def test_boxes_that_overlap_are_averaged_by_score() -> None:
    """Two boxes that overlap become one with weights 0.9 and 0.6; a distant one stays; the best comes first."""
    boxes = np.array([[[0.0, 0], [1, 1]], [[0.1, 0], [1.1, 1]], [[3, 3], [4, 4]]])
    found = merged(boxes, np.array([0.6, 0.9, 0.7]))
    assert [score for _, score in found] == [0.9, 0.7]
    np.testing.assert_allclose(found[0][0], [[0.06, 0], [1.06, 1]])
    np.testing.assert_allclose(found[1][0], boxes[2])


def test_a_point_moves_to_its_heat() -> None:
    """A point moves to the mean of a sure heat map near it; it stays where the map is unsure or the point is outside;
    and it agrees with a slow sum over the window, at the border too."""
    heat = np.full((64, 64, 4), -20.0, np.float32)
    heat[10, 20, 0] = heat[2, 1, 3] = 4.0
    heat[10, 20, 1] = -0.5
    places = np.array([[22.4, 9.3], [22.4, 9.3], [70.0, 9.3], [0.5, 0.5]]) / 64
    moved = refined(places.astype(np.float32), heat)
    np.testing.assert_allclose(moved[0], [20 / 64, 10 / 64], atol=1e-6)
    np.testing.assert_allclose(moved[1:3], places[1:3], atol=1e-6)
    random = np.random.default_rng(2).normal(0, 2, (64, 64, 4)).astype(np.float32)
    np.testing.assert_allclose(refined(places, random), [slow(places[i], random[..., i]) for i in range(4)], atol=1e-6)


def slow(place: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """`refined` for one point, cell by cell."""
    x, y = int(place[0] * 64), int(place[1] * 64)
    if not (0 <= x < 64 and 0 <= y < 64):
        return place
    total, best, mean = 0.0, 0.0, np.zeros(2)
    for row in range(max(0, y - 3), min(64, y + 4)):
        for column in range(max(0, x - 3), min(64, x + 4)):
            weight = 1 / (1 + np.exp(-float(heat[row, column])))
            total, best, mean = total + weight, max(best, weight), mean + weight * np.array([column, row])
    return mean / total / 64 if best >= 0.5 else place


def test_smoothing_keeps_rest_and_follows_speed() -> None:
    """A constant stays; a small tremor shrinks to less than a third; a fast jump is followed by more than half."""
    still, tremor, jump = OneEuro(0.05, 80), OneEuro(0.05, 80), OneEuro(0.05, 80)
    point = np.array([[100.0, 50.0]])
    assert all(np.array_equal(still(point, 400), point) for _ in range(5))
    shaken = [tremor(point + 0.1 * (-1) ** number, 400) - point for number in range(60)]
    assert np.abs(shaken[-10:]).max() < 0.1 / 3
    jump(point, 400)
    assert (jump(point + 100, 400) - point).min() > 50
