"""Figures from the paper's tables, as far as they were noted down; nothing is filled in from memory.

The tables of arXiv 2606.28026 were not available as text. `KNOWN` holds the noted figures and says what is unknown
about each. Users who have the paper can add its rows to their tables: [published.NAME] in comparison.toml.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """One noted figure. `method` is None where the note does not name the method."""

    table: int
    figure: str
    value: str
    method: str | None = None
    note: str = ""


KNOWN = (
    Reported(1, "l1", "0.03 to 0.19", None, "the range over all methods, which fits a mean absolute error in [0,1]"),
    Reported(
        2, "ips", "0.44 against 0.38", None, "over 120 videos; no interval is given, so the difference may be chance"
    ),
    Reported(5, "shape", "0.4483, 0.3968, 0.3560", None, "three methods; the similarity's formula is not given"),
    Reported(6, "frames per second", "1.96", "EMOSH's tracker", "on a GPU, with its neural estimators"),
    Reported(7, "fid", "112.02", "UniAnimate-DiT"),
    Reported(7, "fvd", "35.33", "UniAnimate-DiT"),
    Reported(7, "fvd", "32.07 to 35.33", None, "four methods; no tool or checkpoint is named"),
)
NOTES = {
    4: "in the paper, Table 4's second column repeats Table 1's TikTok row",
    7: "the paper's FVD values differ less than another decoder or checkpoint would change them",
}


def paper_notes(table: int) -> list[str]:
    """Notes for our table of that number: what the paper reports there."""
    notes = [
        f"the paper reports {each.figure} {each.value}"
        + (f" for {each.method}" if each.method else "")
        + (f" ({each.note})" if each.note else "")
        for each in KNOWN
        if each.table == table
    ]
    return [*notes, *([NOTES[table]] if table in NOTES else [])]
