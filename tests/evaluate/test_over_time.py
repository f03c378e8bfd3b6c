"""Colour over time, its trend, and the plot."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from stages.evaluate.colour import colour_over_time, mean_colour, trend
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.curves import draw_mean_curves, draw_report_curves, mean_curve
from stages.evaluate.plot import Curve, axis_range, ticks
from stages.evaluate.sampling import evenly_spaced
from tests.evaluate.test_protocols import video


def grey(value: int) -> np.ndarray:
    """One flat picture."""
    return np.full((32, 32, 3), value, np.uint8)


def test_a_brightening_clip_drifts_and_a_still_one_does_not(tmp_path: Path) -> None:
    """Greys that brighten by equal steps of L drift by that step a frame, 25 a second; against a truth that brightens
    alike the distance is zero."""
    bright = video(tmp_path / "b.mp4", [grey(60 + 4 * index) for index in range(20)])
    still = video(tmp_path / "s.mp4", [grey(60)] * 20)
    drifting = colour_over_time(bright)
    step = (mean_colour(grey(136))[0] - mean_colour(grey(60))[0]) / 19
    assert drifting["from_start"]["per_second"] == pytest.approx(25 * step, rel=0.02)
    assert drifting["from_start"]["late_minus_early"] == pytest.approx(18 * step, rel=0.02)
    assert colour_over_time(still)["from_start"]["per_second"] == 0
    against = colour_over_time(still, bright)
    assert against["from_truth"]["per_frame"] == pytest.approx(drifting["from_start"]["per_frame"], abs=1e-6)
    assert colour_over_time(bright, bright)["from_truth"]["mean"] == 0


def test_half_the_rate_is_compared_with_its_own_frames(tmp_path: Path) -> None:
    """With a stride of two a result of every second frame has no distance from the truth, at the truth's times."""
    frames = [grey(60 + 4 * index) for index in range(10)]
    truth, half = video(tmp_path / "t.mp4", frames), video(tmp_path / "h.mp4", frames[::2])
    found = colour_over_time(half, truth, EvaluateConfig(stride=2))
    assert found["from_truth"]["mean"] == 0
    assert found["seconds"] == pytest.approx([0, 0.08, 0.16, 0.24, 0.32])


def test_bars_are_no_drift(tmp_path: Path) -> None:
    """A result padded to another shape has the truth's colour once its bars are left out, and not with them."""
    padded = np.zeros((64, 32, 3), np.uint8)
    padded[16:48] = grey(120)
    truth, result = video(tmp_path / "t.mp4", [grey(120)] * 3), video(tmp_path / "r.mp4", [padded] * 3)
    assert colour_over_time(result, truth, EvaluateConfig(fit="pad"))["from_truth"]["mean"] == pytest.approx(0)
    assert colour_over_time(result, truth)["from_truth"]["mean"] > 20


def test_colours_are_cielab() -> None:
    """White is L 100 without colour; red has CIELAB's published 53.24, 80.09, 67.20."""
    white, red = (np.tile(np.uint8(colour), (8, 8, 1)) for colour in ([255, 255, 255], [255, 0, 0]))
    assert mean_colour(white) == pytest.approx([100, 0, 0, 0], abs=0.02)
    assert mean_colour(red)[:3] == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


def test_a_trend_needs_three_frames() -> None:
    """Two frames have no trend; a line's slope is found exactly."""
    assert trend(np.arange(2.0), np.arange(2.0)) == {"per_second": None, "late_minus_early": None}
    assert trend(np.arange(5.0), 3 * np.arange(5.0))["per_second"] == pytest.approx(3)


def test_the_plot_is_whole_and_lifts_its_pen_over_gaps(tmp_path: Path) -> None:
    """One panel for each curve there is, valid XML, escaped names, and a gap where no face was found."""
    seconds = [0.0, 1.0, 2.0, 3.0]
    sections = {
        "colour": {"seconds": seconds, "from_start": {"per_frame": [0, 1, 2, 3]}},
        "identity": {"seconds": seconds, "cosine": {"per_frame": [0.5, None, 0.4, 0.4]}},
    }
    draw_report_curves(tmp_path / "p.svg", {"a<b>.mp4": sections, "c.mp4": {"colour": sections["colour"]}})
    root = ET.parse(tmp_path / "p.svg").getroot()
    words = [each.text for each in root.iter() if each.text]
    assert "a<b>.mp4" in words
    curves = [each.get("d", "") for each in root.iter() if each.get("fill") == "none"]
    assert [line.count("M") for line in curves] == [1, 1, 2]


def test_axes_are_readable() -> None:
    """Ticks are multiples of 1, 2 or 5 inside the range; an axis starts at zero unless the values hardly vary."""
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.33, 0.47) == [0.35, 0.4, 0.45]
    assert axis_range([0.1, 2.0]) == (0, 2.0)
    assert axis_range([0.0, 0.0]) == (0, 1)
    assert axis_range([50.0, 55.0]) == (49.75, 55.25)
    assert ticks(1, 1) == [1]


@pytest.mark.parametrize(("total", "count"), [(1, 8), (8, 8), (100, 8), (9, 4)])
def test_frames_are_chosen_evenly(total: int, count: int) -> None:
    """As many as asked for or all, each once, in order, no two further apart than twice the mean."""
    chosen = evenly_spaced(total, count)
    assert len(chosen) == min(total, count) == len(set(chosen))
    assert chosen == sorted(chosen)
    assert chosen[-1] < total
    assert max(np.diff([*chosen, total])) <= 2 * total / len(chosen)


def test_means_over_clips_are_of_those_that_last(tmp_path: Path) -> None:
    """In steps of 0.2 s: the mean of two clips while both last, of one after, a gap where no face was found."""
    short = Curve([0.0, 0.1, 0.2], [1.0, 3.0, 4.0])
    long = Curve([0.0, 0.25, 0.45, 0.65], [4.0, 6.0, None, 8.0])
    mean = mean_curve([short, long])
    assert mean.seconds == [0.1, 0.3, 0.5, 0.7]
    assert mean.values == [3.0, 5.0, None, 8.0]
    draw_mean_curves(tmp_path / "p.svg", {"dance": {"identity": {"ours": [short], "theirs": [long]}}})
    words = [each.text for each in ET.parse(tmp_path / "p.svg").getroot().iter() if each.text]
    assert "dance: identity: ArcFace cosine with the photo" in words
    assert {"ours", "theirs"} <= set(words)
