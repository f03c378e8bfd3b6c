"""Body shapes compared: known bodies, known differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.body.model import Body
from stages.errors import InputError
from stages.evaluate.shape import cosine, measurements_cm, scaled_to_height_of, shape_consistency, sizeless_cosine
from tests.motions import standing


def test_cosines() -> None:
    """Along, against, across; two mean shapes are alike, a mean shape and another are not."""
    x, y = np.array([1.0, 0]), np.array([0, 2.0])
    assert cosine(x, 3 * x) == pytest.approx(1)
    assert cosine(x, -x) == pytest.approx(-1)
    assert cosine(x, y) == 0
    assert cosine(0 * x, 0 * x) == 1
    assert cosine(0 * x, y) == 0


def test_the_same_body_differs_by_nothing(body: Body) -> None:
    """A body against itself in other poses: cosine one, no centimetre, and no repeat figure where none was measured."""
    motion = standing(body, 1, seed=1)
    moved = replace(motion, poses=motion.poses * 0)
    figures = shape_consistency(motion, [moved, motion], [], body)
    for section in ("to_reference", "among_frames"):
        assert figures[section]["betas_cosine"] == pytest.approx(1)
        assert figures[section]["sizeless_cosine"] == pytest.approx(1)
        assert max(figures[section]["difference_cm"].values()) == pytest.approx(0, abs=1e-3)
    assert figures["repeat"] is None
    assert figures["frames"] == 2


def test_a_head_does_not_count(body: Body) -> None:
    """Another head on the same body changes nothing: the result wears its own hair."""
    motion = standing(body, 1, seed=1)
    other = replace(motion, head_betas=-motion.head_betas, head_scale=1.1)
    figures = shape_consistency(motion, [other], [other], body)
    assert max(figures["to_reference"]["difference_cm"].values()) == pytest.approx(0, abs=1e-3)
    assert figures["repeat"]["betas_cosine"] == pytest.approx(1)


def test_measures_are_a_grown_persons(body: Body) -> None:
    """The mean body's measures are plausible, and its parts are shorter than it is tall."""
    measures = measurements_cm(body, standing(body, 1), standing(body, 1))
    assert 150 < measures["height"] < 190
    assert 25 < measures["shoulders"] < 50
    assert measures["leg"] > measures["arm"] > measures["hips"]


def test_size_alone_is_taken_out(body: Body) -> None:
    """A body grown by a tenth all over is the same one at one height; a change of size and build tilts the betas by
    67 degrees, the surfaces at one height by less."""
    assert scaled_to_height_of(1.1 * body.v_template + 3, body.v_template) == pytest.approx(
        body.v_template - body.v_template.mean(0), abs=1e-5
    )
    small, large = np.zeros((2, 10), np.float32)
    small[:2], large[:2] = (-1, 1.5), (1, 1.5)
    first, second = (replace(standing(body, 1), betas=betas) for betas in (small, large))
    assert cosine(small, large) == pytest.approx(0.385, abs=0.001)
    assert sizeless_cosine(body, first, second) == pytest.approx(0.565, abs=0.01)


def test_nobody_found_is_said(body: Body) -> None:
    """Without a single frame that shows a person there is an error message instead of a figure."""
    with pytest.raises(InputError, match="no person was found"):
        shape_consistency(standing(body, 1), [], [], body)
