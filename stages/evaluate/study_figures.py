"""Figures of a user study: shares of good, same and bad with confidence intervals, and the raters' agreement.

Judgements of one rater, or of one clip, are not independent. So the bootstrap resamples raters and clips at the same
time (Owen 2007, "The pigeonhole bootstrap"), and intervals are its percentiles. Agreement is Krippendorff's alpha for
ordinal values ("Computing Krippendorff's Alpha-Reliability", 2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.shown_text import in_markdown
from stages.counted import counted
from stages.evaluate.study_answers import Judgements

DRAWS = 2000
CONFIDENCE = 0.95
NAMES = {"good": 1, "same": 0, "bad": -1}


def study_figures(judged: Judgements, seed: int = 0) -> dict[str, Any]:
    """Per question and method: counts, shares in percent with intervals, net preference, agreement."""
    methods = dict.fromkeys(judged.methods)
    sections = []
    for number, question in enumerate(judged.questions):
        rows = {method: _method_figures(judged, number, method, seed) for method in methods}
        sections.append({"question": question, "methods": rows, "alpha": krippendorff_alpha(judged.values[number])})
    return {
        "raters": len(judged.raters),
        "pairs": len(judged.pairs),
        "judgements": int(np.isfinite(judged.values).sum()),
        "confidence": CONFIDENCE,
        "interval": "percentiles of the pigeonhole bootstrap over raters and clips",
        "agreement": "Krippendorff's alpha, ordinal",
        "questions": sections,
    }


def _method_figures(judged: Judgements, question: int, method: str, seed: int) -> dict[str, Any]:
    chosen = np.array([name == method for name in judged.methods])
    values = judged.values[question][:, chosen]
    clips = np.array(judged.clips)[chosen]
    count = int(np.isfinite(values).sum())
    figures: dict[str, Any] = {"judgements": count}
    if not count:
        return figures
    shares = {name: float(100 * (values == value).sum() / count) for name, value in NAMES.items()}
    drawn = bootstrap_shares(values, clips, seed)
    for name in NAMES:
        figures[name] = {
            "count": int((values == NAMES[name]).sum()),
            "percent": shares[name],
            "interval": _interval(None if drawn is None else drawn[name]),
        }
    net = None if drawn is None else drawn["good"] - drawn["bad"]
    figures["good_minus_bad"] = {"percent": shares["good"] - shares["bad"], "interval": _interval(net)}
    return {**figures, "alpha": krippendorff_alpha(values)}


def bootstrap_shares(
    values: Float[np.ndarray, "raters pairs"], clips: np.ndarray, seed: int
) -> dict[str, Float[np.ndarray, "draws"]] | None:
    """Percent of each judgement in DRAWS resamplings of raters and clips; None with fewer than two clips."""
    names, place = np.unique(clips, return_inverse=True)
    if len(names) < 2:
        return None
    chance = np.random.default_rng(seed)
    raters = len(values)
    of_rater = chance.multinomial(raters, np.full(raters, 1 / raters), DRAWS)
    of_clip = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)[:, place]
    whole = _weighted_counts(of_rater, np.isfinite(values), of_clip)
    kept = whole > 0
    return {
        name: 100 * _weighted_counts(of_rater, values == value, of_clip)[kept] / whole[kept]
        for name, value in NAMES.items()
    }


def _weighted_counts(of_rater: Int[np.ndarray, "draws raters"], table: np.ndarray, of_pair: np.ndarray) -> np.ndarray:
    return np.einsum("dp,dp->d", of_rater @ table.astype(float), of_pair)


def _interval(drawn: np.ndarray | None) -> list[float] | None:
    if drawn is None or not len(drawn):
        return None
    tail = 50 * (1 - CONFIDENCE)
    return [float(value) for value in np.percentile(drawn, [tail, 100 - tail])]


def krippendorff_alpha(ratings: Float[np.ndarray, "raters units"]) -> float | None:
    """Krippendorff's alpha for ordinal ratings: 1 is perfect agreement, 0 is chance. A nan rating is missing.

    None if no unit has two ratings, or if all ratings are equal: then agreement is not defined.
    """
    values = np.unique(ratings[np.isfinite(ratings)])
    table = np.array([(ratings == value).sum(0) for value in values], float).reshape(len(values), ratings.shape[1])
    table = table[:, table.sum(0) >= 2]
    if not table.size or len(values) < 2:
        return None
    coincidences = (table / (table.sum(0) - 1)) @ table.T - np.diag((table / (table.sum(0) - 1)).sum(1))
    totals = coincidences.sum(1)
    ranks = np.cumsum(totals) - totals / 2
    distance = (ranks[:, None] - ranks[None]) ** 2
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() - 1)
    return None if expected == 0 else float(1 - (coincidences * distance).sum() / expected)


def as_markdown(figures: dict[str, Any], ours: str) -> str:
    """The figures in Markdown, one table per question: the paper's Table 3 with intervals."""
    lines = [f"{counted(figures['raters'], 'rater')}, {counted(figures['pairs'], 'pair')}, "
             f"{counted(figures['judgements'], 'judgement')}; "
             f"{round(100 * figures['confidence'])} % intervals ({figures['interval']})."]  # fmt: skip
    for section in figures["questions"]:
        lines += ["", f"**{in_markdown(section['question'])}** (agreement {_two_decimals(section['alpha'])})", ""]
        lines += [
            f"| {in_markdown(ours)} against | good | same | bad | good - bad | agreement |",
            "|---|---|---|---|---|---|",
        ]
        for method, row in section["methods"].items():
            if row["judgements"]:
                cells = [_percent_text(row[name]) for name in (*NAMES, "good_minus_bad")]
                lines.append(f"| {in_markdown(method)} | {' | '.join(cells)} | {_two_decimals(row['alpha'])} |")
            else:
                lines.append(f"| {in_markdown(method)} | not judged | | | | |")
    return "\n".join(lines) + "\n"


def _percent_text(figure: dict[str, Any]) -> str:
    interval = figure["interval"]
    spread = "" if interval is None else f" ({interval[0]:.0f} to {interval[1]:.0f})"
    return f"{figure['percent']:.0f} %{spread}"


def _two_decimals(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
