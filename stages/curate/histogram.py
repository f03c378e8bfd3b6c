"""One figure's histogram as an SVG for the summary page: accepted and rejected windows, and the threshold."""

from __future__ import annotations

from html import escape

import numpy as np

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, BINS = 380, 150, 34, 22, 18, 24


def histogram(accepted: list[float], rejected: list[float], limit: float, most: bool, is_share: bool) -> str:
    """24 bins from zero to the largest value (to 1 for a share); rejected windows are stacked on accepted ones."""
    step = 0.25 if is_share else _step(max([*accepted, *rejected, limit, 1e-9]))
    top = 1.0 if is_share else step * max(1, int(np.ceil(max([*accepted, *rejected, 1.02 * limit]) / step)))
    edges = np.linspace(0.0, top, BINS + 1)
    stacks = [np.histogram(np.clip(values, 0.0, top), edges)[0] for values in (accepted, rejected)]
    tallest = max(1, int((stacks[0] + stacks[1]).max()))
    across, down = (WIDTH - LEFT - 8) / BINS, (HEIGHT - TOP - BOTTOM) / tallest
    drawn = [_axis(top, step, tallest)]
    for index, (kept, gone) in enumerate(zip(*stacks, strict=True)):
        x, base = LEFT + index * across, HEIGHT - BOTTOM
        for count, name in ((kept, "kept"), (gone, "gone")):
            if count:
                base -= count * down
                drawn.append(f'<rect class="{name}" x="{x + 0.5:.1f}" y="{base:.1f}" width="{across - 1:.1f}" '
                             f'height="{count * down:.1f}"/>')  # fmt: skip
    place = LEFT + (limit / top) * (WIDTH - LEFT - 8)
    anchor = "end" if place > WIDTH * 0.7 else "start"
    words = f"at {'most' if most else 'least'} {limit:g}"
    drawn.append(f'<path class="limit" d="M{place:.1f} {TOP - 4}V{HEIGHT - BOTTOM}"/>')
    drawn.append(_text(place + (4 if anchor == "start" else -4), TOP - 6, words, anchor, "limit"))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">{"".join(drawn)}</svg>'


def _step(largest: float) -> float:
    """A round step between axis labels, so that three to seven steps reach the largest value."""
    power = 10.0 ** np.floor(np.log10(largest / 3))
    return float(next(power * each for each in (1, 2, 5, 10) if largest / (power * each) <= 7))


def _axis(top: float, step: float, tallest: int) -> str:
    base = HEIGHT - BOTTOM
    marks = [f'<path class="axis" d="M{LEFT} {base}H{WIDTH - 8}"/>', _text(LEFT - 4, TOP + 8, str(tallest), "end"),
             _text(LEFT - 4, base, "0", "end")]  # fmt: skip
    for number in range(round(top / step) + 1):
        x = LEFT + number * step / top * (WIDTH - LEFT - 8)
        anchor = "start" if number == 0 else "end" if x > WIDTH - 20 else "middle"
        marks.append(_text(x, HEIGHT - 6, f"{number * step:.4g}", anchor))
    return "".join(marks)


def _text(x: float, y: float, words: str, anchor: str, name: str = "") -> str:
    kind = f' class="{name}"' if name else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
