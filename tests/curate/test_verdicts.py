"""What decides over a window: figures, filters, records, and the lines that come of them."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.manifest import read_manifest, write_manifest
from stages.body.model import Body
from stages.curate import records
from stages.curate.config import THRESHOLDS, CurateConfig
from stages.curate.figures import clip_figures
from stages.curate.filters import FILTERS, is_measured, rejection_reasons
from stages.curate.page import write_page
from stages.curate.verdicts import MEANINGS, count_reasons, verdicts
from stages.errors import InputError
from tests.motions import joint, standing

GOOD = {"side_px": 480, "fps": 30, "body_share": 1, "face_share": 0.95, "face_scale": 0.1, "hand_share": 0.8,
        "movement": 0.3, "people": 1, "letters": 3}  # fmt: skip
BAD = {"side_px": 200, "fps": 8, "body_share": 0.5, "face_share": 0.2, "face_scale": 0.01, "hand_share": 0.1,
       "movement": 0.01, "people": 2, "letters": 9}  # fmt: skip
ERRORS = {"error_body": None, "error_face": 0.01, "error_left_hand": None, "error_right_hand": None}


def test_every_filter_rejects_what_it_is_for() -> None:
    """A clip that fails one filter is rejected for that alone, in words that begin with the figure; a good one stays,
    and so does one whose figures are the thresholds themselves."""
    config = CurateConfig()
    assert rejection_reasons(GOOD, config) == []
    assert set(GOOD) == {each.figure for each in FILTERS}
    assert {each.setting for each in FILTERS} == set(THRESHOLDS)
    for each in FILTERS:
        said = rejection_reasons({**GOOD, each.figure: BAD[each.figure]}, config)
        assert len(said) == 1
        assert said[0].startswith(f"{each.figure} {BAD[each.figure]:g} is ")
        assert rejection_reasons({**GOOD, each.figure: each.limit(config)}, config) == []
    assert is_measured(GOOD)
    assert not is_measured({"fps": 30.0})


def tracked(body: Body, **changes: object):
    """A motion as the tracker leaves it."""
    motion = standing(body, 40)
    notes = {"other_people": 0, "summary": ERRORS, **changes}
    return replace(motion, provenance=replace(motion.provenance, notes=notes))


def test_figures_of_a_motion(body: Body) -> None:
    """Shares, scale and people are those of the motion's own arrays."""
    motion = tracked(body, other_people=1)
    valid = motion.valid.copy()
    valid[:10, 1] = False
    valid[:, 2] = False
    valid[20:, 3] = False
    found = clip_figures(replace(motion, valid=valid), body)
    assert (found["body_share"], found["face_share"], found["hand_share"], found["both_hands_share"]) == (
        1,
        0.75,
        0.5,
        0,
    )
    assert found["face_scale"] == pytest.approx(80 / 512, abs=1e-5)
    assert found["people"] == 2
    assert (found["face_error"], "body_error" in found) == (0.01, False)


def test_movement_is_in_shoulder_widths(body: Body) -> None:
    """Somebody held still moves 0; walked across the picture by a sine of a shoulder's width, 0.71 of it, however large
    the picture is; arms alone count too."""
    motion = tracked(body)
    still = replace(motion, poses=np.repeat(motion.poses[:1], 40, 0))
    assert clip_figures(still, body)["movement"] == pytest.approx(0, abs=1e-5)
    assert 0.05 < clip_figures(motion, body)["movement"] < 1
    trans = still.trans.copy()
    per_pixel = trans[0, 2] / still.K[0, 0, 0]
    trans[:, 0] += 130 * per_pixel * np.sin(2 * np.pi * np.arange(40) / 40)
    walked = clip_figures(replace(still, trans=trans), body)["movement"]
    assert walked == pytest.approx(np.sqrt(0.5), abs=0.08)
    large = replace(still, trans=trans, K=2 * still.K, image_size=(1024, 1024))
    large = replace(large, shoulder_width_px=2 * still.shoulder_width_px)
    assert clip_figures(large, body)["movement"] == pytest.approx(walked, rel=1e-3)
    poses = still.poses.copy()
    poses[:, joint("left_elbow")] += 0.4 * np.sin(np.arange(40))[:, None]
    assert clip_figures(replace(still, poses=poses), body)["movement"] > 0.06


def video(windows: int = 4, **changes: object) -> records.VideoRecord:
    """A video of some windows, as it was looked through."""
    places = tuple(records.WindowPlace(100 * number, 100, None, 0) for number in range(windows))
    values = {
        "source": records.Source("a/x.mp4", 1, 1, "00"),
        "width": 640,
        "height": 480,
        "fps": "30000/1001",
        "frames": 430,
        "windows": places,
        "short": ((400, 30),),
    }
    return records.VideoRecord("a/x", **{**values, **changes})  # type: ignore[arg-type]


def test_lines_are_a_manifest(tmp_path: Path) -> None:
    """Accepted windows are lines on the clip, whole, rejected ones on the source and its frames; read back the same."""
    windows = {
        "a/x-0001": records.WindowRecord("a/x-0001", "", GOOD),
        "a/x-0002": records.WindowRecord("a/x-0002", "", {**GOOD, "people": 2, "movement": 0}),
        "a/x-0003": records.WindowRecord("a/x-0003", "", error="no person found in frames 200 on"),
        "a/x-0004": records.WindowRecord("a/x-0004", "", error="failed: ValueError: x"),
    }
    out = tmp_path / "clips"
    (out / "a").mkdir(parents=True)
    (out / "a/x-0001.mp4").touch()
    found = list(verdicts(video(), windows, tmp_path / "videos", out, CurateConfig()))
    broken = video(error="cut short; copy it again")
    found += verdicts(broken, {}, tmp_path / "videos", out, CurateConfig())
    write_manifest(out / "manifest.jsonl", [each.line for each in found])
    lines = read_manifest(out / "manifest.jsonl")
    for line, each in zip(lines, found, strict=True):
        paths = {name: Path(os.path.normpath(path)) for name in ("video", "source") if (path := getattr(line, name))}
        assert replace(line, **paths) == each.line
    kept = lines[0]
    assert (kept.video, kept.motion) == (out / "a/x-0001.mp4", out / "a/x-0001.npz")
    assert (kept.first_frame, kept.frames, kept.fps, kept.reason) == (0, 100, Fraction(30000, 1001), None)
    assert (kept.source_first_frame, [line.source_first_frame for line in lines[:5]]) == (0, [0, 100, 200, 300, 400])
    assert lines[1].reason == "movement 0 is below 0.06; people 2 is above 1"
    assert (lines[1].video.resolve(), lines[1].first_frame) == (tmp_path / "videos/a/x.mp4", 100)
    words = {"movement": 1, "people": 1, "untracked": 1, "failed": 1, "short": 1, "unreadable": 1}
    assert count_reasons(found) == words
    assert set(words) <= set(MEANINGS)


def test_a_clip_that_is_not_there_is_never_accepted(tmp_path: Path) -> None:
    """A window that would pass, of a video that is gone, has a line that says so where its clip was not kept, or where
    it was never measured."""
    windows = {"a/x-0001": records.WindowRecord("a/x-0001", "", GOOD)}
    found = list(verdicts(video(2, short=()), windows, tmp_path, tmp_path, CurateConfig()))
    assert [(each.words, each.line.video) for each in found] == [(["gone"], tmp_path / "a/x.mp4")] * 2


def test_a_video_that_is_too_small_is_judged_untracked(tmp_path: Path) -> None:
    """What is known of the whole video rejects all of its windows."""
    found = list(verdicts(video(height=100), {}, tmp_path, tmp_path, CurateConfig()))
    assert [each.words for each in found] == [["side_px"]] * 4 + [["short"]]


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """The summary draws a histogram with its threshold for each filter, asks the network for nothing, and leaves no
    name of a file unescaped."""
    windows = {"a/x-0001": records.WindowRecord("a/x-0001", "", GOOD), "a/x-0002": records.WindowRecord("", "", BAD)}
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x-0001.mp4").touch()
    found = list(verdicts(video(2), windows, tmp_path, tmp_path, CurateConfig()))
    found += verdicts(
        video(source=records.Source("<b>.mp4", 0, 0, ""), error="<i>"), {}, tmp_path, tmp_path, CurateConfig()
    )
    write_page(tmp_path / "summary.html", "Clips of <here>", found, CurateConfig(), "1")
    text = (tmp_path / "summary.html").read_text()
    assert text.count("<svg") == text.count('<path class="limit"') == len(FILTERS)
    assert all(f"<code>{each.setting}</code>" in text for each in FILTERS)
    assert not re.search(r"https?:|<script|<!--|<b>|<i>|<here>", text)
    assert text.count('class="kept"') >= len(FILTERS)


def test_names_and_files(tmp_path: Path) -> None:
    """Clips are named by their video's place; two videos that differ in the suffix alone by that too. Hidden files,
    other files and what lies under the output are left alone."""
    for name in ("a/x.mp4", "b/x.mp4", "b/x.MOV", "b/notes.txt", ".hidden/x.mp4", "b/._x.mp4", "clips/y.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = records.videos_in(tmp_path, tmp_path / "clips")
    names = records.clip_names(found, tmp_path)
    assert list(names.values()) == ["a/x", "b/x.MOV", "b/x.mp4"]


def test_records_survive_nonsense(tmp_path: Path) -> None:
    """A record reads back as it was written; a damaged or foreign one counts as not there."""
    record = replace(video(), name="a/x.v2")
    window = records.WindowRecord("a/x.v2-0001", "of", GOOD, None, {".mp4": "0"}, {".mp4": 3})
    for each in (record, window):
        records.write_record(tmp_path, each)
    assert records.read_video_record(tmp_path, record.name) == record == records.recorded_videos(tmp_path)[0]
    assert records.read_window_record(tmp_path, window.name) == window
    assert not window.is_kept(tmp_path)
    for text in ("", "[]", '{"name": 1}', json.dumps({"windows": 3, "short": []})):
        records.video_record_path(tmp_path, record.name).write_text(text)
        records.window_record_path(tmp_path, window.name).write_text(text)
        assert records.read_video_record(tmp_path, record.name) is None
        assert records.read_window_record(tmp_path, window.name) is None


def test_a_source_is_known_by_its_bytes(tmp_path: Path) -> None:
    """A file that was only copied or touched is still the same, one with other bytes of the same number is not."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    source = records.Source.of(path, tmp_path)
    os.utime(path, (1, 1))
    assert source.is_unchanged(path)
    path.write_bytes(b"two")
    assert not source.is_unchanged(path)


@pytest.mark.parametrize(
    "wrong",
    [{"min_frames": 0}, {"max_frames": 50}, {"cut_score": 0.0}, {"min_face_share": 1.2}, {"min_movement": -1.0}],
)
def test_settings_that_cannot_be_met_are_refused(wrong: dict) -> None:
    """A setting that nothing can meet is refused by its name."""
    with pytest.raises(InputError, match=next(iter(wrong))):
        CurateConfig(**wrong)
