"""Frechet distance against scipy's matrix root and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from stages.evaluate.frechet import frechet_distance

RANDOM = np.random.default_rng(3)


def by_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    """pytorch-fid's formula with scipy's root of the product."""
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(c1 @ c2))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * root))


@pytest.mark.parametrize(("rows", "others", "width"), [(60, 60, 5), (500, 37, 12), (40, 300, 30)])
def test_it_is_scipys(rows: int, others: int, width: int) -> None:
    """More rows than features, in any mixture of lengths and scales: the same to 1e-6 of the value."""
    a = RANDOM.normal(size=(rows, width)) @ RANDOM.normal(size=(width, width))
    b = RANDOM.normal(size=(others, width)) * 3 + 1
    assert frechet_distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-6)


def test_one_dimension_has_a_closed_form() -> None:
    """In one dimension it is the squared difference of means plus that of standard deviations."""
    a, b = RANDOM.normal(2, 3, (100, 1)), RANDOM.normal(-1, 0.5, (80, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_equal_sets_are_at_distance_zero_and_shifts_are_squared() -> None:
    """The same rows in another order: zero, however few; moved by a vector: its squared length."""
    few = RANDOM.normal(size=(10, 64)).astype(np.float32)
    assert frechet_distance(few, few[::-1]) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(few, few + 0.5) == pytest.approx(64 * 0.25, rel=1e-4)


def test_fewer_rows_than_features_are_no_special_case() -> None:
    """Rank-deficient covariances: the value is that of the rows' own subspace, where scipy's root is well posed."""
    basis = np.linalg.qr(RANDOM.normal(size=(50, 6)))[0]
    a, b = RANDOM.normal(size=(20, 6)), RANDOM.normal(size=(25, 6)) * 2
    assert frechet_distance(a @ basis.T, b @ basis.T) == pytest.approx(by_sqrtm(a, b), rel=1e-8)


def test_constant_sets_are_their_means() -> None:
    """Zeros against ones: the squared distance of the two points, as the published sanity number is made."""
    assert frechet_distance(np.zeros((8, 400)), np.full((8, 400), 0.5)) == pytest.approx(100)
