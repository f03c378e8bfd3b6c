"""Filling a hole with the picture's own patches."""

from __future__ import annotations

import numpy as np

from stages.generate.puppet.patches import (
    RADIUS,
    fill_from_patches,
    membrane,
    patch_cost,
    random_places,
    search,
    vote,
)


def stripes(period: int = 8) -> np.ndarray:
    """Upright stripes, black and yellow."""
    x = np.arange(160) // (period // 2) % 2 == 0
    row = np.where(x[:, None], (220, 190, 20), (10, 10, 10))
    return np.repeat(row[None], 120, 0).astype(np.uint8)


def hole(height: int = 120, width: int = 160) -> np.ndarray:
    """A disc of 44 pixels across."""
    y, x = np.mgrid[:height, :width]
    return (x - width // 2) ** 2 + (y - height // 2) ** 2 < 22**2


def test_stripes_are_continued_through_the_hole() -> None:
    """Of the pixels in a hole in a striped picture nine of ten have the right stripe's colour, at once and sharp."""
    picture, missing = stripes(), hole()
    filled = fill_from_patches(np.where(missing[..., None], 128, picture).astype(np.uint8), missing)
    assert filled is not None
    assert np.array_equal(filled[~missing], picture[~missing])
    away = np.abs(filled[missing].astype(int) - picture[missing]).max(-1)
    assert (away < 40).mean() > 0.9


def test_only_the_sources_are_copied() -> None:
    """Patches come from the allowed pixels alone: with the red half forbidden no red pixel is filled in."""
    picture = np.full((120, 160, 3), (30, 60, 200), np.uint8)
    picture[:, 80:] = (200, 40, 30)
    missing = hole()
    filled = fill_from_patches(picture, missing, np.arange(160)[None].repeat(120, 0) < 80)
    assert filled is not None
    assert (filled[missing][:, 0] < 60).all()


def test_a_picture_without_whole_patches_is_not_filled() -> None:
    """Where no patch of the picture is whole, there is nothing to copy."""
    assert fill_from_patches(stripes(), ~(np.arange(160) < 3)[None].repeat(120, 0)) is None


def small() -> tuple[np.ndarray, ...]:
    """A noisy picture of five channels, its hole, the usable patches, the targets and their order."""
    rng = np.random.default_rng(5)
    picture = rng.uniform(0, 255, (26, 30, 5)).astype(np.float32)
    unknown = np.zeros((26, 30), bool)
    unknown[10:14, 12:17] = True
    near = np.zeros_like(unknown)
    near[10 - RADIUS : 14 + RADIUS, 12 - RADIUS : 17 + RADIUS] = True
    centres = np.zeros_like(unknown)
    centres[RADIUS:-RADIUS, RADIUS:-RADIUS] = True
    centres &= ~near
    return picture, unknown, centres, near, np.argwhere(near).astype(np.int32)


def slow_cost(picture: np.ndarray, guess: np.ndarray, target: tuple, source: tuple, height_cost: float) -> float:
    """The cost of a patch, written as in the docstring."""
    from stages.generate.puppet.patches import GUESS_LATER

    (ty, tx), (sy, sx) = target, source
    total = []
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            if 0 <= ty + dy < len(picture) and 0 <= tx + dx < picture.shape[1]:
                total.append(((picture[ty + dy, tx + dx] - picture[sy + dy, sx + dx]) ** 2).sum())
    moved = (sy - ty) / len(picture)
    return float(np.mean(total) + height_cost * moved**2 + GUESS_LATER * ((guess[ty, tx] - picture[sy, sx]) ** 2).sum())


def test_the_compiled_cost_is_the_slow_one() -> None:
    """At the border and inside, the compiled cost equals the plain sum."""
    picture, unknown, *_ = small()
    guess = membrane(picture, unknown)
    for target, source in (((12, 14), (4, 5)), ((1, 2), (20, 22)), ((25, 29), (5, 20))):
        found = patch_cost(picture, guess, *target, *source, RADIUS, 500.0, np.inf)
        assert np.isclose(found, slow_cost(picture, guess, target, source, 500.0), rtol=1e-4)


def test_the_search_finds_nearly_the_best_patches() -> None:
    """Mean cost within 15 % of that of a search through all patches, and never below it."""
    picture, unknown, centres, near, order = small()
    guess = membrane(picture, unknown)
    places, cost = random_places(unknown, centres), np.zeros(unknown.shape, np.float32)
    search(picture, guess, order, near, centres, places, cost, RADIUS, 40, 0.0, 1)
    every = [tuple(place) for place in np.argwhere(centres)]
    best = [min(slow_cost(picture, guess, tuple(at), place, 0.0) for place in every) for at in order[::7]]
    found = np.array([cost[y, x] for y, x in order[::7]])
    assert (found >= np.array(best) * 0.999).all()
    assert found.mean() < 1.15 * np.mean(best)
    assert all(centres[tuple(places[y, x])] for y, x in order)


def test_the_vote_is_the_weighted_mean_of_what_the_patches_show() -> None:
    """The compiled vote equals a plain loop over the patches that cover a pixel."""
    picture, unknown, centres, _, _ = small()
    places = random_places(unknown, centres)
    rng = np.random.default_rng(1)
    cost, trust = (rng.uniform(0.5, 2, unknown.shape).astype(np.float32) for _ in range(2))
    expected = picture.copy()
    window = range(-RADIUS, RADIUS + 1)
    for y, x in np.argwhere(unknown):
        costs = np.array([[cost[y + dy, x + dx] for dx in window] for dy in window])
        weight = np.exp(-(costs - costs.min()) / (0.5 * costs.mean() + 1e-3))
        weight *= np.array([[trust[y + dy, x + dx] for dx in window] for dy in window])
        shown = np.array(
            [[picture[tuple(places[y + dy, x + dx] - (dy, dx))] for dx in window] for dy in window], np.float64
        )
        expected[y, x] = (weight[..., None] * shown).sum((0, 1)) / weight.sum()
    vote(picture, unknown, places, cost, trust, RADIUS, False)
    assert np.allclose(picture, expected, atol=1e-2)
