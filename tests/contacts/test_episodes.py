"""From gaps and speeds to contacts, on hand-made curves."""

from __future__ import annotations

import numpy as np
import pytest

from stages.contacts.episodes import Rule, episodes, joined, spans_of

RULE = Rule(enter_m=0.01, leave_m=0.02)
STILL = np.zeros(60)


def dip(lowest: float, rows: slice) -> np.ndarray:
    """Far away, and `lowest` metres apart in some rows."""
    gap = np.full(60, 0.1)
    gap[rows] = lowest
    return gap


def test_a_contact_begins_and_ends_with_the_gap() -> None:
    """Rows below the first threshold are one contact."""
    assert episodes(dip(0.002, slice(20, 40)), STILL, 30, RULE) == [(20, 40)]


def test_surfaces_that_stay_apart_do_not_touch() -> None:
    """A gap between both thresholds never begins a contact."""
    assert episodes(dip(0.015, slice(20, 40)), STILL, 30, RULE) == []


def test_noise_about_one_threshold_does_not_cut_a_contact() -> None:
    """Rows between both thresholds belong to the contact around them."""
    gap = dip(0.005, slice(20, 40))
    gap[25:40:3] = 0.018
    gap[26:40:3] = 0.018
    assert episodes(gap, STILL, 30, RULE) == [(20, 39)] or episodes(gap, STILL, 30, RULE)[0][0] == 20
    assert len(episodes(gap, STILL, 30, RULE)) == 1


def test_one_row_that_jumps_is_no_contact() -> None:
    """A single near row is noise."""
    assert episodes(dip(0.0, slice(20, 21)), STILL, 30, RULE) == []


def test_a_pass_is_no_contact_and_a_clap_is_one() -> None:
    """What is near only while it moves fast passes; what comes to rest in one row touches."""
    gap, speed = dip(0.003, slice(20, 26)), np.full(60, 2.0)
    assert episodes(gap, speed, 30, RULE) == []
    speed[23] = 0.0
    assert episodes(gap, speed, 30, RULE) == [(20, 26)]


def test_a_short_break_is_bridged_and_a_long_one_is_not() -> None:
    """Breaks of 0.1 s at most."""
    gap = dip(0.003, slice(10, 40))
    gap[20:23] = 0.1
    assert len(episodes(gap, STILL, 30, RULE)) == 1
    gap[20:30] = 0.1
    assert len(episodes(gap, STILL, 30, RULE)) == 2


@pytest.mark.parametrize("flags", [[0, 0], [1, 1, 0, 1], [1], []])
def test_spans_cover_exactly_the_true_rows(flags: list[int]) -> None:
    """Spans and flags say the same."""
    again = np.zeros(len(flags), bool)
    for begin, end in spans_of(np.array(flags, bool)):
        again[begin:end] = True
    assert again.tolist() == [bool(flag) for flag in flags]


def test_joined_spans_overlap_nowhere() -> None:
    """Overlaps and short breaks are merged."""
    assert joined([(5, 9), (0, 3), (4, 6), (20, 22)], 1) == [(0, 9), (20, 22)]
