"""Good, same, bad, their intervals and raters' agreement, against published and hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest

from stages.evaluate.study_answers import Judgements
from stages.evaluate.study_figures import as_markdown, krippendorff_alpha, study_figures

NAN = np.nan
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)

BINARY = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0.0]])


@pytest.mark.parametrize(
    ("ratings", "published"),
    [(FOUR_OBSERVERS, 0.815), (BINARY, 0.095)],
)
def test_alpha_is_krippendorffs(ratings: np.ndarray, published: float) -> None:
    """The examples of "Computing Krippendorff's Alpha-Reliability" (2011) give the values printed there.

    Two values have the same alpha at every level of measurement, so the binary example counts as ordinal.
    """
    assert krippendorff_alpha(ratings) == pytest.approx(published, abs=5e-4)


def test_alpha_where_there_is_nothing_to_agree_about() -> None:
    """One rater, or ratings that are all the same, have no alpha; perfect agreement has 1."""
    assert krippendorff_alpha(np.array([[1.0, 0, -1]])) is None
    assert krippendorff_alpha(np.ones((3, 4))) is None
    assert krippendorff_alpha(np.full((2, 3), NAN)) is None
    assert krippendorff_alpha(np.array([[1.0, 0, -1], [1, 0, -1]])) == 1


def judgements(values: np.ndarray, methods: int = 1) -> Judgements:
    """Every `methods` neighbouring pairs are of one clip."""
    raters, pairs = values.shape
    return Judgements(
        tuple(f"r{row}" for row in range(raters)),
        tuple(f"p{column}" for column in range(pairs)),
        tuple(f"m{column % methods}" for column in range(pairs)),
        tuple(f"c{column // methods}" for column in range(pairs)),
        ("which?",),
        values[None].astype(float),
    )


def test_counts_are_counted() -> None:
    """Of 6 judgements 3 good, 2 same, 1 bad: 50, 33.3 and 16.7 %, and good less bad is 33.3."""
    values = np.array([[1, 1, 0, NAN], [1, 0, -1, NAN]])
    row = study_figures(judgements(values))["questions"][0]["methods"]["m0"]
    assert [row[name]["count"] for name in ("good", "same", "bad")] == [3, 2, 1]
    assert [round(row[name]["percent"], 1) for name in ("good", "same", "bad")] == [50.0, 33.3, 16.7]
    assert row["good_minus_bad"]["percent"] == pytest.approx(100 / 3)


def test_methods_are_kept_apart() -> None:
    """A method that always loses and one that always wins do not mix."""
    values = np.tile([1.0, -1.0], (3, 5))
    rows = study_figures(judgements(values, methods=2))["questions"][0]["methods"]
    assert rows["m0"]["good"]["percent"] == 100
    assert rows["m1"]["bad"]["percent"] == 100
    assert rows["m0"]["good"]["interval"] == [100, 100]


def test_intervals_hold_the_truth() -> None:
    """Over 60 studies of 8 raters and 12 clips, where both differ, the 95 % interval holds the true share in most."""
    chance = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        leaning = chance.normal(0, 0.7, (8, 1)) + chance.normal(0, 0.7, (1, 12))
        values = np.where(leaning + chance.normal(0, 1, (8, 12)) > 0, 1, -1)
        low, high = study_figures(judgements(values))["questions"][0]["methods"]["m0"]["good"]["interval"]
        held += low <= 50 <= high
    assert held >= 52


def test_one_clip_has_no_interval() -> None:
    """With one clip nothing can be said of clips, and no interval is given."""
    row = study_figures(judgements(np.array([[1.0], [0.0]])))["questions"][0]["methods"]["m0"]
    assert row["good"]["interval"] is None


def test_the_table_reads() -> None:
    """The Markdown names our method, the other, each share with its interval, and agreement."""
    values = np.array([[1, 1, 0, -1], [1, 0, 0, -1], [1, 1, 1, -1.0]])
    table = as_markdown(study_figures(judgements(values)), "emosh")
    assert "| emosh against | good | same | bad |" in table
    assert "| m0 | 50 % (" in table
    assert f"(agreement {krippendorff_alpha(values):.2f})" in table
