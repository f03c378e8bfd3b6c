"""What the paper itself reports, as far as a text at hand holds it; nothing is filled in from memory.

arXiv 2606.28026's tables were not available as text here. `KNOWN` holds the figures that were noted from them, with
what is not known about each. Users who have the paper put its rows beside theirs: [published.NAME] in comparison.toml.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """One noted figure. `method` is None where the note does not say whose it is."""

    table: int
    figure: str
    value: str
    method: str | None = None
    note: str = ""


KNOWN = (
    Reported(1, "l1", "0.03 to 0.19", None, "the range over methods; so it is a mean absolute error in [0,1]"),
    Reported(2, "ips", "0.44 against 0.38", None, "over 120 videos; without an interval the gap says little"),
    Reported(5, "shape", "0.4483, 0.3968, 0.3560", None, "three methods; the similarity's formula is not given"),
    Reported(6, "frames per second", "1.96", "EMOSH's tracker", "on a GPU, with its neural estimators"),
    Reported(7, "fid", "112.02", "UniAnimate-DiT"),
    Reported(7, "fvd", "35.33", "UniAnimate-DiT"),
    Reported(7, "fvd", "32.07 to 35.33", None, "four methods; no tool or checkpoint is named"),
)
NOTES = {
    4: "in the paper, Table 4's second column repeats Table 1's TikTok row",
    7: "the paper's FVD spread is smaller than what another decoder or checkpoint moves it by",
}


def beside(table: int) -> list[str]:
    """What stands beside our table of that number, in words."""
    said = [
        f"the paper reports {each.figure} {each.value}"
        + (f" for {each.method}" if each.method else "")
        + (f" ({each.note})" if each.note else "")
        for each in KNOWN
        if each.table == table
    ]
    return [*said, *([NOTES[table]] if table in NOTES else [])]
