"""report.json: written whole, checked against its table, refused when damaged."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.artifacts.provenance import Provenance
from stages.errors import InputError
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.evaluate import evaluate_paired
from stages.evaluate.report import REPORT, read_report, write_report


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """A real report's sections: a small picture against itself."""
    import numpy as np

    from stages.video.png import write_png

    path = tmp_path_factory.mktemp("report") / "a.png"
    write_png(path, np.arange(3 * 32 * 32, dtype=np.uint8).reshape(32, 32, 3))
    record = Provenance("evaluate", inputs={"video": "0" * 64})
    return {
        "provenance": json.loads(record.to_json()),
        "paired": evaluate_paired(path, path, EvaluateConfig(size=32)),
    }


def test_a_report_comes_back(tmp_path, sections):
    """What is written is read again, with its kind and its version."""
    write_report(tmp_path / "r.json", sections)
    report = read_report(tmp_path / "r.json")
    assert report["paired"] == json.loads(json.dumps(sections["paired"]))
    assert (report["kind"], report["schema"]) == ("report", 1)


def test_every_entry_that_must_be_there_is_missed(tmp_path, sections):
    """Taking out any required entry, one at a time, gives one line that names it."""
    write_report(tmp_path / "r.json", sections)
    whole = (tmp_path / "r.json").read_text()
    for entry in REPORT:
        holder = report = json.loads(whole)
        *parents, name = entry.name.split(".")
        for parent in parents:
            holder = holder.get(parent, {})
        if not entry.required or name not in holder or entry.name in ("kind", "schema"):
            continue
        del holder[name]
        (tmp_path / "r.json").write_text(json.dumps(report))
        with pytest.raises(InputError, match=f"'{entry.name}' is missing"):
            read_report(tmp_path / "r.json")


def test_wrong_types_are_named(tmp_path, sections):
    """A mean that is a text is refused by its dotted name and type."""
    write_report(tmp_path / "r.json", sections)
    report = json.loads((tmp_path / "r.json").read_text())
    report["paired"]["psnr"]["mean"] = "high"
    (tmp_path / "r.json").write_text(json.dumps(report))
    with pytest.raises(InputError, match=r"'paired\.psnr\.mean' is str, expected number"):
        read_report(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("paired.frames", -1, "'paired.frames' is -1, expected 0 to inf"),
        ("paired.size", 10**6, "'paired.size' is 1e.06, expected 1 to 16384"),
        ("paired.largest_time_difference_seconds", float("inf"), "is inf, expected 0 to inf"),
        ("paired.psnr.per_frame", ["a"], "holds something that is no number"),
        ("paired.psnr.per_frame", [float("nan")], "holds something that is no number"),
        ("paired.psnr.per_frame", [0.0] * 99, "has 99 values, 'paired.frames' says"),
        ("paired.psnr.interval_95", ["a", "b"], "holds something that is no number"),
    ],
)
def test_values_that_no_comparison_gives_are_refused(tmp_path, sections, place, value, told):
    """Counts below 0, sizes of no picture, texts among numbers and lists of another length are named."""
    path = tmp_path / "r.json"
    write_report(path, sections)
    report = json.loads(path.read_text())
    *folders, name = place.split(".")
    holder = report
    for each in folders:
        holder = holder[each]
    holder[name] = value
    path.write_text(json.dumps(report))
    with pytest.raises(InputError, match=told):
        read_report(path)


def test_what_is_no_report_is_one_line(tmp_path):
    """Missing, other JSON, no JSON and another version are each refused in one sentence."""
    path = tmp_path / "r.json"
    for content, words in (
        (None, "does not exist"), (b"[1, 2]", "not a report"), (b'{"kind": "motion"}', "not a report"),
        (b"\xff\xfe", "not a text file"), (b'{"kind": "report", "schema": 99}', "schema 99"),
        (b"{", "damaged or not JSON"),
    ):  # fmt: skip
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            read_report(path)
        assert "\n" not in str(caught.value)


@given(at=st.integers(0, 2000), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_never_gives_anything_but_a_sentence(tmp_path, sections, at, byte):
    """Any byte changed gives either a valid report or an InputError, never another exception."""
    path = tmp_path / "r.json"
    write_report(path, sections)
    content = bytearray(path.read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert read_report(path)["kind"] == "report"


def test_nothing_that_is_no_number_is_written(tmp_path, sections):
    """NaN never gets into a report, and a refused report leaves no file."""
    broken = {**sections, "paired": {**sections["paired"], "frames": float("nan")}}
    with pytest.raises(AssertionError, match="is nan"):
        write_report(tmp_path / "r.json", broken)
    assert list(tmp_path.iterdir()) == []
