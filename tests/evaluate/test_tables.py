"""Tables from known figures: means, intervals, bold, notes, and the three ways they are written."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from stages.evaluate.distribution import FeatureCollector, frechet_section
from stages.evaluate.paper import TABLES as PAPER
from stages.evaluate.paper import paper_notes
from stages.evaluate.table_text import comma_separated, latex, markdown
from stages.evaluate.tables import build_table

PAPER_TEXT = Path(__file__).resolve().parents[3] / "shared" / "paper" / "emosh_2606.28026.txt"
CLIPS = {
    ("ours", "dance"): {"a": {"psnr": 30.0, "l1": 0.02}, "b": {"psnr": 32.0, "l1": 0.04}, "c": {"psnr": 34.0}},
    ("Wan_Animate|2", "dance"): {"a": {"psnr": 20.0, "l1": 0.03}, "b": {"psnr": 21.0, "l1": 0.03}, "c": {"psnr": 22.0}},
    ("third", "dance"): {"a": {"psnr": 32.001}},
}


def one(number: int = 1, **more):
    """The table of CLIPS."""
    methods = ["ours", "Wan_Animate|2", "third"]
    table = build_table(number, methods, ["dance"], CLIPS, more.get("pooled", {}), more.get("published", {}))
    assert table is not None
    return table


def cells(table) -> dict[str, dict]:
    """(method) -> figure -> cell."""
    return {
        name: {figure.key: cell for (_, figure), cell in zip(table.columns, row, strict=True)}
        for name, row in table.rows
    }


def test_cells_are_means_over_clips_and_the_best_is_bold() -> None:
    """Each clip counts once; equal as printed is equally bold; what no method has is no column; none is a dash."""
    found = cells(one())
    assert found["ours"]["psnr"].value == 32.0
    assert (found["ours"]["psnr"].clips, found["third"]["psnr"].clips) == (3, 1)
    assert [found[name]["psnr"].best for name in found] == [True, False, True]
    assert [found[name]["l1"].best for name in ("ours", "Wan_Animate|2")] == [True, True]
    assert found["third"]["l1"] is None
    assert "ssim" not in found["ours"]


def test_intervals_are_over_clips_and_doubt_is_said() -> None:
    """The interval covers the mean and lies within the clips; overlapping intervals of best and second are noted."""
    cell = cells(one())["ours"]["psnr"]
    assert 30 <= cell.interval[0] <= 32 <= cell.interval[1] <= 34
    close = {("x", "s"): {str(k): {"psnr": 20.0 + k} for k in range(9)},
             ("y", "s"): {str(k): {"psnr": 20.2 + k} for k in range(9)}}  # fmt: skip
    table = build_table(1, ["x", "y"], ["s"], close, {}, {})
    assert any("intervals of y and x overlap" in note for note in table.notes)


def test_markdown_latex_and_csv_hold_the_same_cells() -> None:
    """Bold in Markdown and LaTeX, exact values in CSV, names escaped, arrows for which way is better, JSON strict."""
    table = one(published={"paper": {"dance": {"psnr": 19.5}}})
    shown = markdown([table], ["how"])
    assert "| ours | **32.00** [" in shown
    assert "Wan_Animate\\|2" in shown
    assert "PSNR ↑" in shown
    assert "*paper (as published)* | 19.50" in shown
    assert shown.endswith("- how\n")
    written = latex([table])
    assert "\\textbf{32.00}" in written
    assert "Wan\\_Animate" in written
    assert written.count("\\\\") == 5
    rows = list(csv.DictReader(io.StringIO(comma_separated([table]))))
    ours = next(row for row in rows if row["method"] == "ours" and row["figure"] == "psnr")
    assert (float(ours["value"]), ours["clips"], ours["best"]) == (32.0, "3", "1")
    assert next(row for row in rows if row["kind"] == "published")["best"] == "0"
    json.dumps(table.to_dict(), allow_nan=False)


def test_what_only_says_how_far_to_trust_is_never_bold() -> None:
    """The tracker's own cosine and the share of faces found are shown, not ranked."""
    clips = {("x", "s"): {"a": {"shape_cosine": 0.4, "shape_repeat": 0.9, "shape_height_cm": 3.0}},
             ("y", "s"): {"a": {"shape_cosine": 0.5, "shape_repeat": 0.9, "shape_height_cm": 9.0}}}  # fmt: skip
    table = build_table(5, ["x", "y"], ["s"], clips, {}, {})
    found = cells(table)
    assert found["y"]["shape_cosine"].best
    assert found["x"]["shape_height_cm"].best
    assert not found["x"]["shape_repeat"].best
    assert build_table(2, ["x", "y"], ["s"], clips, {}, {}) is None


def test_the_papers_figures_are_notes() -> None:
    """Under a table stands what the paper's table of that number says; the repeated column of table 4 is said; nothing
    of the paper is a row of ours."""
    assert "Table 1's TikTok row" in " ".join(paper_notes(4))
    assert "UniAnimate-DiT 112.02, 35.33" in paper_notes(7)[0]
    assert "EMOSH 0.4445; Wan-Animate 0.3802" in paper_notes(2)[0]
    assert len(one(1).notes) >= 3
    assert not one(1).published
    assert {each.table for each in PAPER} == {1, 2, 3, 4, 5, 6, 7}
    assert all(len(row) == len(each.figures) for each in PAPER for row in each.rows.values())


def test_the_papers_table_is_in_its_text() -> None:
    """Every row of the tables stands in the paper's text, where the text is at hand."""
    if not PAPER_TEXT.exists():
        pytest.skip(f"{PAPER_TEXT} is not here")
    said = set(re.findall(r"\d+\.\d+|\d+", PAPER_TEXT.read_text(encoding="utf-8")))
    numbers = {float(each) for each in said}
    assert {value for each in PAPER for row in each.rows.values() for value in row} <= numbers


def test_pooled_figures_need_rows_and_clips() -> None:
    """FVD over few clips is refused with the number asked for; FID over fewer rows than features says it is biased."""
    rows = [np.random.default_rng(k).normal(size=(6, 10)) for k in range(4)]
    section, why = frechet_section("fvd", rows, rows, 64)
    assert section is None
    assert "4 clips are too few" in why
    section, _ = frechet_section("fid", rows, rows, 64)
    assert section["value"] == pytest.approx(0, abs=1e-9)
    assert (section["clips"], section["rows"], "note" in section) == (4, [24, 24], False)
    assert "biased" in frechet_section("fid", rows[:1], rows[:1], 64)[0]["note"]
    assert frechet_section("fid", [], [], 64)[0] is None
    assert frechet_section("fvd", rows, rows, 4)[0]["clips"] == 4


def test_features_are_gathered_by_frame_and_by_window() -> None:
    """A row a frame, whatever the batches; a row a whole window, the rest left over."""
    frames = [np.full((4, 4, 3), k, np.uint8) for k in range(37)]

    def mean(pictures: list[np.ndarray]) -> np.ndarray:
        return np.array([[each.mean()] for each in pictures])

    gather = FeatureCollector(mean, lambda window: np.array([[len(window), np.mean(window)]]), 10)
    for frame in frames:
        gather.add(frame)
    rows = gather.rows()
    assert rows["fid"][:, 0].tolist() == list(range(37))
    assert rows["fvd"].tolist() == [[10, 4.5], [10, 14.5], [10, 24.5]]
    assert FeatureCollector(None, None, 16).rows() == {}


def test_small_values_are_not_rounded_to_nothing() -> None:
    """DisCo's L1 of order 1e-5 is printed in powers of ten, and the smaller alone is bold."""
    clips = {("x", "s"): {"a": {"l1": 3.8e-5}}, ("y", "s"): {"a": {"l1": 4.4e-5}}, ("z", "s"): {"a": {"l1": 0.0}}}
    shown = markdown([build_table(1, ["x", "y"], ["s"], clips, {}, {})], [])
    assert "| x | **3.80e-05** |" in shown
    assert "| y | 4.40e-05 |" in shown
    assert "| z | **0.0000** |" in markdown([build_table(1, ["x", "z"], ["s"], clips, {}, {})], [])
