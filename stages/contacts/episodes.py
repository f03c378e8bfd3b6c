"""When two parts touch: from their distance and their relative speed, row by row, to first and last rows.

A contact lasts from the first to the last row in which the gap is below `enter_m`, as long as it does not rise above
`leave_m` in between: with two thresholds, noise about one of them does not cut a contact into pieces. A pass comes as
near as a contact does, but without rest: its relative speed stays high. So one row of a contact must be slower than
`slow_m_s`. A clap has such a row too, where the hands turn back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Rule:
    """What counts as a contact."""

    enter_m: float
    leave_m: float
    slow_m_s: float = 0.3
    shortest_s: float = 0.06
    bridged_s: float = 0.1
    """Shorter breaks between two contacts are no breaks."""


SURFACE = Rule(enter_m=0.015, leave_m=0.030)
PINCH = Rule(enter_m=0.006, leave_m=0.012)


def episodes(
    gap: Float[np.ndarray, "frames"], speed: Float[np.ndarray, "frames"], fps: float, rule: Rule
) -> list[tuple[int, int]]:
    """The first row and the row after the last of each contact. `gap` is inf where it is not known."""
    spans = joined(spans_of(hysteresis(_median_of_three(gap), rule)), rule.bridged_s * fps)
    shortest = min(max(1, round(rule.shortest_s * fps)), len(gap))
    return [(a, b) for a, b in spans if b - a >= shortest and speed[a:b].min() <= rule.slow_m_s]


def hysteresis(gap: Float[np.ndarray, "frames"], rule: Rule) -> Bool[np.ndarray, "frames"]:
    """True from the first to the last row below `enter_m` between which the gap does not rise above `leave_m`."""
    near = np.zeros(len(gap), bool)
    for begin, end in spans_of(gap < rule.leave_m):
        inside = begin + np.flatnonzero(gap[begin:end] < rule.enter_m)
        if len(inside):
            near[inside[0] : inside[-1] + 1] = True
    return near


def spans_of(flags: Bool[np.ndarray, "frames"]) -> list[tuple[int, int]]:
    """Runs of True: first row, and row after the last."""
    steps = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


def joined(spans: list[tuple[int, int]], most: float) -> list[tuple[int, int]]:
    """Sorted spans, with breaks of at most `most` rows filled, and overlaps merged."""
    result: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if result and begin - result[-1][1] <= most:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((begin, end))
    return result


def windows(spans: list[tuple[int, int]], window: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Each span, in parts of at most `window` rows that share `overlap` rows."""
    for begin, end in spans:
        while end - begin > window:
            yield begin, begin + window
            begin += window - overlap
        yield begin, end


def _median_of_three(values: Float[np.ndarray, "frames"]) -> Float[np.ndarray, "frames"]:
    """One row that jumps away is no end of a contact, and one that jumps near is none."""
    if len(values) < 3:
        return values
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
