"""The paper's tables: one row per method, one column per figure of a set, means over clips with intervals.

A cell is the mean over clips of each clip's mean, so that long clips do not count more. Its interval is a bootstrap
over clips. FID and FVD have one value per set and no interval. The best mean is bold even if the difference may be
chance; a note says where the intervals of the best and the second overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.evaluate.averages import bootstrap_interval
from stages.evaluate.paper import paper_notes


@dataclass(frozen=True)
class Figure:
    """A column: key in a clip's figures, heading, whether higher is better, digits after the point."""

    key: str
    label: str
    higher: bool
    digits: int = 3

    @property
    def heading(self) -> str:
        """The label with an arrow that points the better way."""
        return f"{self.label} {'↑' if self.higher else '↓'}"

    def text(self, value: float) -> str:
        """The value as printed; a value that would show only zeros (DisCo's L1) is printed in powers of ten."""
        shown = f"{value:.{self.digits}f}"
        return f"{value:.2e}" if value and not shown.strip("-0.") else shown


PICTURES = (
    Figure("psnr", "PSNR", True, 2), Figure("ssim", "SSIM", True), Figure("l1", "L1", False, 4),
    Figure("lpips_alex", "LPIPS alex", False), Figure("lpips_vgg", "LPIPS vgg", False),
)  # fmt: skip
IDENTITY = (
    Figure("ips", "IPS", True), Figure("ips_misses_as_zero", "IPS, misses as 0", True),
    Figure("face_distance", "face distance, dlib", False), Figure("detection_rate", "faces found", True),
)  # fmt: skip
SHAPE = (
    Figure("shape_cosine", "betas cosine", True), Figure("shape_sizeless", "cosine at one height", True),
    Figure("shape_height_cm", "height error, cm", False, 1), Figure("shape_repeat", "tracker's own cosine", True),
)  # fmt: skip
SETS = (Figure("fid", "FID", False, 2), Figure("fvd", "FVD", False, 2))
TABLES: dict[int, tuple[str, tuple[Figure, ...]]] = {
    1: ("Self-driven: similarity to the real video", PICTURES),
    2: ("Cross-driven: identity", IDENTITY),
    4: ("Ablation: one switch off at a time", (*PICTURES, *IDENTITY[:3], *SHAPE[:3])),
    5: ("Shape consistency", SHAPE),
    7: ("Distributions", SETS),
}
"""The paper's tables by number, with its figures and ours beside them: both LPIPS networks, since it names none,
missed faces, and the tracker's own error of a shape."""
UNRANKED = ("detection_rate", "shape_repeat")
"""Shown but never bold: they say how far the other columns can be trusted."""


@dataclass(frozen=True)
class Cell:
    """One value, the number of clips it is the mean of, and its 95 % interval if there are enough clips."""

    value: float
    clips: int
    interval: tuple[float, float] | None = None
    best: bool = False


@dataclass(frozen=True)
class Table:
    """One table: (set, figure) columns, method rows, notes below."""

    number: int
    title: str
    columns: tuple[tuple[str, Figure], ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    published: tuple[tuple[str, tuple[Cell | None, ...]], ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """The table as a dictionary for JSON."""
        rows = [("measured", self.rows), ("published", self.published)]
        return {
            "table": self.number,
            "title": self.title,
            "columns": [{"set": where, "figure": figure.key, "better": "higher" if figure.higher else "lower"}
                        for where, figure in self.columns],
            "rows": [
                {"method": name, "kind": kind, "cells": [None if cell is None else {
                    "value": cell.value, "clips": cell.clips, "interval_95": cell.interval, "best": cell.best,
                } for cell in cells]}
                for kind, group in rows for name, cells in group
            ],
            "notes": list(self.notes),
        }  # fmt: skip


Measured = Mapping[tuple[str, str], Mapping[str, Mapping[str, float]]]
"""(method, set) -> clip -> figure -> value."""


def build_table(
    number: int,
    methods: Sequence[str],
    sets: Sequence[str],
    clips: Measured,
    pooled: Mapping[tuple[str, str], Mapping[str, float]],
    published: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Table | None:
    """The table of that number from the measured figures; None if none of its figures was measured."""
    title, figures = TABLES[number]
    cells = {
        (name, where, figure.key): cell
        for name in methods
        for where in sets
        for figure in figures
        if (cell := _cell(figure.key, clips.get((name, where), {}), pooled.get((name, where), {}))) is not None
    }
    columns = [
        (where, figure) for where in sets for figure in figures if any((n, where, figure.key) in cells for n in methods)
    ]
    if not columns:
        return None
    rows = [(name, [cells.get((name, where, figure.key)) for where, figure in columns]) for name in methods]
    rows = [(name, row) for name, row in rows if any(cell is not None for cell in row)]
    best, doubts = _best(columns, rows)
    marked = tuple(
        (name, tuple(_with_best(cell, name in best[column]) for column, cell in enumerate(row))) for name, row in rows
    )
    printed = tuple(
        (name, tuple(_published_cell(table.get(where, {}).get(figure.key)) for where, figure in columns))
        for name, table in published.items()
    )
    printed = tuple((name, row) for name, row in printed if any(cell is not None for cell in row))
    return Table(number, title, tuple(columns), marked, printed, (*doubts, *paper_notes(number)))


def _cell(key: str, clips: Mapping[str, Mapping[str, float]], pooled: Mapping[str, float]) -> Cell | None:
    if key in pooled:
        return Cell(pooled[key], len(clips))
    values = np.array([figures[key] for figures in clips.values() if key in figures])
    if not len(values):
        return None
    edges = bootstrap_interval(values, 1)
    return Cell(float(values.mean()), len(values), None if edges is None else (edges[0], edges[1]))


def _best(
    columns: Sequence[tuple[str, Figure]], rows: Sequence[tuple[str, Sequence[Cell | None]]]
) -> tuple[list[set[str]], list[str]]:
    """Names of the best in each column (several if they print the same), and notes on columns with overlaps."""
    found, doubts = [], []
    for index, (where, figure) in enumerate(columns):
        ranked = sorted(
            ((cell, name) for name, row in rows if (cell := row[index]) is not None),
            key=lambda each: each[0].value, reverse=figure.higher,
        )  # fmt: skip
        if figure.key in UNRANKED or len(ranked) < 2:
            found.append(set())
            continue
        top = figure.text(ranked[0][0].value)
        names = {name for cell, name in ranked if figure.text(cell.value) == top}
        found.append(names)
        first, second = ranked[0][0].interval, ranked[1][0].interval
        if len(names) == 1 and first and second and first[0] <= second[1] and second[0] <= first[1]:
            doubts.append(f"{where} {figure.label}: the intervals of {ranked[0][1]} and {ranked[1][1]} overlap")
    return found, doubts


def _with_best(cell: Cell | None, best: bool) -> Cell | None:
    return None if cell is None else Cell(cell.value, cell.clips, cell.interval, best)


def _published_cell(value: float | None) -> Cell | None:
    return None if value is None else Cell(float(value), 0)
