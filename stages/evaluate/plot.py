"""Curves over time as a self-contained SVG: one panel per figure, one line per video, without a plotting package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.artifacts.atomic import atomic_path
from stages.artifacts.shown_text import in_markup

WIDTH, PANEL, GAP = 760, 170, 46
LEFT, RIGHT, TOP = 64, 18, 34
COLOURS = ("#1b6ca8", "#d1495b", "#2e933c", "#7d5ba6", "#e08e0b", "#3c3c3c", "#00a6a6", "#a05a2c", "#c04cfd")
MOST_POINTS = 1200
TICKS = 6


@dataclass(frozen=True)
class Curve:
    """One line; a value of None is a gap, for example where no face was found."""

    seconds: Sequence[float]
    values: Sequence[float | None]


def write_plot(path: Path, title: str, panels: Mapping[str, Mapping[str, Curve]]) -> None:
    """Draw `panels` (heading -> name -> curve) over seconds, one below the other; the SVG is written atomically."""
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    colour = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    height = TOP + len(panels) * (PANEL + GAP) + 24
    body = [_text(LEFT, 20, title, size=15, weight="bold")]
    for index, (heading, curves) in enumerate(panels.items()):
        body += _panel(TOP + index * (PANEL + GAP) + 14, heading, curves, colour)
    for index, name in enumerate(names if len(names) > 1 else []):
        x = LEFT + index * max(80, (WIDTH - LEFT) // max(1, len(names)))
        body += [f'<rect x="{x}" y="{height - 16}" width="12" height="4" fill="{colour[name]}"/>',
                 _text(x + 17, height - 11, name)]  # fmt: skip
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>{"".join(body)}</svg>\n'
    )
    with atomic_path(Path(path)) as part:
        part.write_text(svg, encoding="utf-8")


def _panel(top: float, heading: str, curves: Mapping[str, Curve], colour: Mapping[str, str]) -> list[str]:
    low, high = axis_range([value for curve in curves.values() for value in curve.values if value is not None])
    last = max((curve.seconds[-1] for curve in curves.values() if len(curve.seconds)), default=1.0) or 1.0
    across, down = (WIDTH - LEFT - RIGHT) / last, PANEL / (high - low)
    drawn = [_text(LEFT, top - 6, heading)]
    for step in ticks(low, high):
        y = top + (high - step) * down
        drawn += [f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e3e3e3"/>',
                  _text(LEFT - 6, y + 4, f"{step:g}", anchor="end")]  # fmt: skip
    for step in ticks(0.0, last):
        drawn.append(_text(LEFT + step * across, top + PANEL + 14, f"{step:g} s", anchor="middle"))
    for name, curve in curves.items():
        line = _line(curve, lambda x, y: (LEFT + x * across, top + (high - y) * down))
        drawn.append(f'<path d="{line}" fill="none" stroke="{colour[name]}" stroke-width="1.6"/>')
    return drawn


def _line(curve: Curve, place) -> str:
    """The SVG path of a curve; a gap starts a new piece. At most MOST_POINTS points of a long clip are drawn."""
    step = max(1, -(-len(curve.seconds) // MOST_POINTS))
    words, down = [], False
    for x, y in list(zip(curve.seconds, curve.values, strict=True))[::step]:
        if y is None:
            down = False
            continue
        at = place(x, y)
        words.append(f"{'L' if down else 'M'}{at[0]:.1f} {at[1]:.1f}")
        down = True
    return "".join(words)


def axis_range(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value of a panel's axis: from zero, unless the lowest value is over half of the highest."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-6 * max(1.0, abs(high)):
        return (0.0, 1.0) if abs(high) < 1e-6 else (high - 0.5 * abs(high), high + 0.5 * abs(high))
    if 0 <= low <= high / 2:
        return 0.0, high
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two values, about TICKS of them."""
    if high <= low:
        return [low]
    rough = (high - low) / TICKS
    power = 10 ** np.floor(np.log10(rough))
    step = next(float(power * each) for each in (1, 2, 5, 10) if power * each >= rough * 0.999)
    return [round(step * index, 10) for index in range(int(np.ceil(low / step - 1e-9)), int(high / step + 1e-9) + 1)]


def _text(x: float, y: float, words: str, size: int = 11, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="#333">{in_markup(words)}</text>'
    )
