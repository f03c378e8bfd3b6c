"""`emosh gallery`: which runs it finds, what it shows of them, and the page in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosh_cli.workflows.find_results import find_results
from stages.errors import InputError
from tests.browser import opened
from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip

LABELS = ["Photo", "Driver", "Overlay", "Condition", "Result"]


@pytest.fixture(scope="module")
def runs(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: one with a report and its files beside it, one whose work folder is gone."""
    root = tmp_path_factory.mktemp("gallery") / "runs"
    (root / "first" / "result.emosh").mkdir(parents=True)
    shutil.copytree(clip.work, root / "first" / "result.emosh", dirs_exist_ok=True)
    for path in (clip.photo, clip.drive, clip.result):
        shutil.copy(path, root / "first")
    shutil.copy(clip.result, root / "second <b>.mp4")
    said = emosh("evaluate", clip.result, "--truth", clip.result, "-o", root / "first" / "report.json")
    assert said.code == 0, said.err
    return root


@pytest.fixture(scope="module")
def page(runs: Path) -> Path:
    """The page of both."""
    said = emosh("gallery", runs, "-o", runs.parent / "page.html", "--title", "My <runs>", "--json")
    assert said.code == 0, said.err
    assert (said.json["runs"], said.json["copied"]) == (2, 5)
    return runs.parent / "page.html"


def test_runs_are_found_by_what_they_say(runs: Path, clip: Clip) -> None:
    """Both results are runs, driving video and report are none; parts are matched by their bytes."""
    first, second = find_results(runs)
    assert [run.result.name for run in (first, second)] == ["result.mp4", "second <b>.mp4"]
    assert first.photo is not None
    assert first.photo.read_bytes() == clip.photo.read_bytes()
    assert first.driver is not None
    assert first.driver.read_bytes() == clip.drive.read_bytes()
    assert first.report is not None
    assert first.report["provenance"]["stage"] == "evaluate"
    assert (second.photo, second.condition, second.retarget) == (None, None, {})


def test_a_changed_driver_is_not_shown(runs: Path, clip: Clip, tmp_path: Path) -> None:
    """A video of the driver's name with other bytes is not taken for the driver, nor is the real one elsewhere."""
    copied = shutil.copytree(runs / "first", tmp_path / "runs")
    shutil.copy(clip.result, copied / clip.drive.name)
    (run,) = (run for run in find_results(copied) if run.result.name == "result.mp4")
    assert run.driver is None


def test_the_motion_that_generate_was_given(clip: Clip, tmp_path: Path) -> None:
    """A run without a driver in its work folder finds the motion it was made from by its fingerprint, and its video."""
    work = tmp_path / "made.emosh"
    shutil.copytree(clip.work, work)
    shutil.copy(clip.result, tmp_path / "made.mp4")
    shutil.copy(clip.drive, tmp_path)
    (work / "drive.npz").rename(tmp_path / "some name.npz")
    run = next(each for each in find_results(tmp_path) if each.result.name == "made.mp4")
    assert run.driver_motion == tmp_path / "some name.npz"
    assert run.driver == tmp_path / clip.drive.name


@pytest.mark.parametrize(
    "record",
    [
        {"stage": "retarget", "notes": {"report": 3}},
        {"stage": "retarget", "notes": {"report": {"height_ratio": "tall", "foot_slide_after_cm": [1]}}},
        {"stage": "retarget", "inputs": {"driver": ["a"]}},
    ],
)
def test_a_motion_that_tells_nonsense_of_itself(clip: Clip, tmp_path: Path, record: dict[str, Any]) -> None:
    """What a motion's record says in another type than emosh writes is left out of the page."""
    shutil.copy(clip.result, tmp_path / "result.mp4")
    shutil.copytree(clip.work, tmp_path / "result.emosh")
    with np.load(clip.work / "target.npz") as arrays:
        changed = {**arrays, "emosh_provenance": np.array(json.dumps(record))}
    np.savez(tmp_path / "result.emosh" / "target.npz", **changed)
    said = emosh("gallery", tmp_path, "-o", tmp_path / "page.html", "--no-overlay")
    assert said.code == 0, said.err
    assert "height x" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_nothing_outside_the_folder_is_read(clip: Clip, tmp_path: Path) -> None:
    """Motions that name files elsewhere, a link to one included, bring none of them into the page."""
    runs = tmp_path / "runs"
    shutil.copytree(clip.work, runs / "made.emosh")
    shutil.copy(clip.result, runs / "made.mp4")
    (runs / clip.drive.name).symlink_to(clip.drive)
    (runs / "up").symlink_to(clip.folder)
    (run,) = find_results(runs)
    assert (run.driver_motion, run.driver, run.photo) == (runs / "made.emosh" / "drive.npz", None, None)
    said = emosh("gallery", runs, "-o", tmp_path / "page.html", "--json", "--embed")
    assert said.json["copied"] == 2, "the result and its condition map"


def test_a_page_made_again_copies_nothing(runs: Path, page: Path) -> None:
    """Copies are named by what they show, so a second page takes them as they are."""
    assert emosh("gallery", runs, "-o", page, "--title", "My <runs>", "--json").json["copied"] == 0


def test_embedded_it_is_one_file(runs: Path, tmp_path: Path) -> None:
    """With --embed nothing lies beside the page, and its videos are in it."""
    out = tmp_path / "one.html"
    assert emosh("gallery", runs, "-o", out, "--embed", "--no-overlay").code == 0
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_text().count("data:video/mp4;base64,") == 4


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    """A folder without results says what makes one; a file is no folder; somebody else's page is kept."""
    assert "holds no result of emosh" in refused("gallery", tmp_path)
    (tmp_path / "mine.html").write_text("<p>words</p>")
    assert "is not a folder" in refused("gallery", tmp_path / "mine.html")
    assert "emosh did not write it" in refused("gallery", tmp_path, "-o", tmp_path / "mine.html")


@pytest.fixture(scope="module")
def tab(page: Path) -> Iterator[Any]:
    """The page in a browser without network, looked at from 1400 x 900."""
    with opened(viewport={"width": 1400, "height": 900}) as browser:
        tab = browser.new_page()
        tab.problems = []
        tab.on("pageerror", lambda error: tab.problems.append(str(error)))
        tab.goto(page.as_uri())
        yield tab
        assert tab.problems == []


def test_it_shows_every_part(tab: Any) -> None:
    """Five labelled panels a run; each video that is there plays and each photo is drawn; what is not there says so."""
    assert tab.inner_text("h1") == "My <runs>"
    assert tab.locator("#run0 figcaption").all_inner_texts() == LABELS
    tab.wait_for_function(
        "[...document.querySelectorAll('.run video')].every(v => v.readyState >= 2 && !v.paused && v.videoWidth > 0)"
    )
    assert tab.locator("#run0 video").count() == 4
    assert tab.evaluate("document.querySelector('#run0 img').naturalWidth") > 0
    assert tab.locator("#run1 .none").all_inner_texts() == ["not found", "not found", "none", "none"]
    assert tab.inner_text("#run1 h2") == "second <b>"


def test_it_tells_the_figures(tab: Any) -> None:
    """Backend, size, length, what retargeting changed and what evaluate measured stand under a run."""
    text = tab.inner_text("#run0 dl")
    for part in ("puppet", "frames", "height x", "feet slide", "PSNR"):
        assert part in text


def test_it_is_used_with_the_keyboard(tab: Any) -> None:
    """J and K go from run to run, 5 enlarges the result, arrows its neighbours, Esc ends it, Space stops everything."""
    focused = "document.activeElement.id"
    tab.keyboard.press("j")
    assert tab.evaluate(focused) == "run0"
    tab.keyboard.press("j")
    assert tab.evaluate(focused) == "run1"
    tab.keyboard.press("k")
    assert tab.evaluate(focused) == "run0"
    tab.keyboard.press("5")
    assert tab.inner_text("dialog p") == "Result of first/result"
    tab.keyboard.press("ArrowLeft")
    assert tab.inner_text("dialog p") == "Condition of first/result"
    tab.keyboard.press("Escape")
    assert not tab.is_visible("dialog")
    tab.keyboard.press(" ")
    assert tab.evaluate("[...document.querySelectorAll('#run0 video')].every(v => v.paused)")


def test_light_and_dark(tab: Any) -> None:
    """The page follows the system, and its own switch."""
    paper = "getComputedStyle(document.body).backgroundColor"
    tab.emulate_media(color_scheme="dark")
    dark = tab.evaluate(paper)
    tab.emulate_media(color_scheme="light")
    light = tab.evaluate(paper)
    assert dark != light
    tab.click("#theme")
    tab.click("#theme")
    assert tab.evaluate(paper) == dark


def test_the_report_is_of_this_result(runs: Path, tmp_path: Path) -> None:
    """A report on another video is not shown: it is matched by the video's sha256."""
    copied = shutil.copytree(runs, tmp_path / "runs")
    path = copied / "first" / "report.json"
    report = json.loads(path.read_text())
    report["provenance"]["inputs"]["video"] = "0" * 64
    path.write_text(json.dumps(report))
    assert all(run.report is None for run in find_results(copied))


def test_a_video_that_cannot_be_read_leaves_nothing(tmp_path: Path, clip: Clip) -> None:
    """A page that ends at a damaged video leaves no folder with the copies before it; an older folder stays."""
    from stages.export.gallery import GalleryRun, Panel, gallery_folder, write_gallery

    broken, page = tmp_path / "broken.mp4", tmp_path / "out.html"
    broken.write_bytes(clip.result.read_bytes()[:2000])
    entry = GalleryRun("a", (Panel("Photo", clip.photo), Panel("Result", broken)), ())
    with pytest.raises(InputError, match=r"broken\.mp4"):
        write_gallery(page, [entry], "t")
    assert [each.name for each in tmp_path.iterdir()] == ["broken.mp4"]
    gallery_folder(page).mkdir()
    with pytest.raises(InputError, match=r"broken\.mp4"):
        write_gallery(page, [entry], "t")
    assert gallery_folder(page).is_dir()
