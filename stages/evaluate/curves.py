"""The paper's Fig. 8: colour and identity over time, as curves from reports or as means over many clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.evaluate.plot import Curve, write_plot

PANELS = {
    "colour: distance from the first frame (CIE76)": ("colour", "from_start"),
    "colour: distance from the truth at the same time (CIE76)": ("colour", "from_truth"),
    "lightness (CIELAB L)": ("colour", "lightness"),
    "identity: ArcFace cosine with the photo (gaps: no face found)": ("identity", "cosine"),
    "identity: dlib's distance to the photo (gaps: no face found)": ("face_distance", "distance"),
}
"""Heading -> section and figure of the report that hold its curve."""


def draw_report_curves(path: Path, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Write an SVG with one line per report of `reports` (name -> sections); panels without a curve are left out."""
    panels = {}
    for heading, (section, figure) in PANELS.items():
        curves = {
            name: Curve(sections[section]["seconds"], sections[section][figure]["per_frame"])
            for name, sections in reports.items()
            if figure in sections.get(section, {})
        }
        if curves:
            panels[heading] = curves
    write_plot(path, "Over time", panels)


STEP_SECONDS = 0.2
HEADINGS = {
    "colour from_start": "colour: distance from the first frame (CIE76)",
    "colour from_truth": "colour: distance from the truth at the same time (CIE76)",
    "identity": "identity: ArcFace cosine with the photo",
    "face_distance": "identity: dlib's distance to the photo",
}


def draw_mean_curves(path: Path, curves: Mapping[str, Mapping[str, Mapping[str, Sequence[Curve]]]]) -> None:
    """Write an SVG of means over clips, one panel per set and figure, one line per method.

    `curves`: set -> figure (a key of HEADINGS) -> method -> the curves of its clips.
    """
    panels = {
        f"{where}: {heading}": {name: mean_curve(clips) for name, clips in figures[figure].items()}
        for where, figures in curves.items()
        for figure, heading in HEADINGS.items()
        if figure in figures
    }
    write_plot(path, "Over time, mean over clips", panels)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean over the clips that last long enough, in steps of STEP_SECONDS; None where no clip has a value."""
    held: dict[int, list[float]] = {}
    last = 0
    for curve in curves:
        steps: dict[int, list[float]] = {}
        for at, value in zip(curve.seconds, curve.values, strict=True):
            last = max(last, int(at / STEP_SECONDS))
            if value is not None:
                steps.setdefault(int(at / STEP_SECONDS), []).append(value)
        for step, values in steps.items():
            held.setdefault(step, []).append(float(np.mean(values)))
    times = [round((step + 0.5) * STEP_SECONDS, 6) for step in range(last + 1)]
    return Curve(times, [float(np.mean(held[step])) if step in held else None for step in range(last + 1)])
