"""The paper's Fig. 8 from reports: colour and identity over time, a line a video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.evaluate.plot import Curve, write_plot

PANELS = {
    "colour: distance from the first frame (CIE76)": ("colour", "from_start"),
    "colour: distance from the truth at the same time (CIE76)": ("colour", "from_truth"),
    "lightness (CIELAB L)": ("colour", "lightness"),
    "identity: ArcFace cosine with the photo (gaps: no face found)": ("identity", "cosine"),
}
"""Heading -> where in a report its curve stands."""


def draw(path: Path, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the panels that any of `reports` (name -> sections) has a curve for."""
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
