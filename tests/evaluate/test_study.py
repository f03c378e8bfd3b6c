"""The user study: its folder, its page in a real browser, offline, and the way from answers to figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.errors import InputError
from stages.evaluate.config import StudyConfig
from stages.evaluate.study_answers import find_key, read_judgements, read_key
from stages.evaluate.study_design import design_study
from stages.video.metadata import read_metadata
from stages.video.png import write_png
from stages.video.sink import VideoSink
from tests.browser import opened
from tests.command_line import emosh, refused

CLIPS, OTHERS = ("walk", "wave"), ("rival", "third")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of three methods, with photos and driving videos, each video of a grey of its own."""
    root = tmp_path_factory.mktemp("study") / "runs"
    for number, folder in enumerate(("drive", "secretours", *OTHERS)):
        (root / folder).mkdir(parents=True)
        for row, clip in enumerate(CLIPS):
            tags = {"comment": f"made by {folder}"}
            with VideoSink(root / folder / f"{clip}.mp4", 96, 128, Fraction(10), metadata=tags) as sink:
                for frame in range(5):
                    sink.write(np.full((128, 96, 3), 20 + 40 * number + 10 * row + frame, np.uint8))
    (root / "ref").mkdir()
    for clip in CLIPS:
        write_png(root / "ref" / f"{clip}.png", np.full((100, 80, 3), 200, np.uint8))
    return root


@pytest.fixture(scope="module")
def page(runs: Path) -> Path:
    """The study's page, one question fewer than usual."""
    out = runs.parent / "study.html"
    words = ["--set", 'questions=["Which moves better?", "Which is better?"]', "--set", "title=Two videos"]
    said = emosh("evaluate", "study", runs, "--ours", "secretours", "-o", out, *words, "--json")
    assert said.code == 0, said.err
    assert said.json["pairs"] == 4
    return out


def test_every_clip_is_paired_with_every_method(runs: Path) -> None:
    """Two clips and two other methods are four pairs, in an order of chance that the seed decides."""
    made = design_study(runs, "secretours")
    assert {(pair.clip, pair.method) for pair in made.pairs} == {(c, m) for c in CLIPS for m in OTHERS}
    assert made == design_study(runs, "secretours")
    orders = {
        tuple((pair.clip, pair.method) for pair in design_study(runs, "secretours", seed).pairs) for seed in range(9)
    }
    assert len(orders) > 1
    assert len(design_study(runs, "secretours", clips=1).pairs) == 2


def test_the_table_s_own_file_will_do(runs: Path, tmp_path: Path) -> None:
    """The comparison.toml of `evaluate --table` gives the same pairs as the folder, named by their set."""
    listed = tmp_path / "comparison.toml"
    lines = [f'[sets.all]\ntruth = "{runs}/drive"\nphotos = "{runs}/ref"']
    lines += [f'[methods.{name}]\nall = "{runs}/{name}"' for name in ("secretours", *OTHERS)]
    listed.write_text("\n".join(lines))
    made = design_study(listed, "secretours")
    assert {(pair.clip, pair.method) for pair in made.pairs} == {(f"all/{c}", m) for c in CLIPS for m in OTHERS}
    assert {pair.ref for pair in made.pairs} == {runs / "ref" / f"{clip}.png" for clip in CLIPS}
    assert {pair.drive.parent for pair in made.pairs} == {runs / "drive"}


def test_no_name_is_in_the_page(page: Path) -> None:
    """Neither a method, a clip, a folder nor a video's own tags can be read in the page; the key has them."""
    text = page.read_text()
    for word in ("secretours", *OTHERS, *CLIPS, "made by", str(page.parent)):
        assert word not in text
    key = read_key(page.with_suffix(".key.json"))
    assert {entry["method"] for entry in key.items.values()} == set(OTHERS)


def test_copies_carry_no_tags(runs: Path, tmp_path: Path) -> None:
    """Beside the page, copies have names of digits, no tags of their maker, and the height asked for."""
    out = tmp_path / "study.html"
    words = ["--set", "embed=false", "--set", "height=64"]
    assert emosh("evaluate", "study", runs, "--ours", "secretours", "-o", out, *words).code == 0
    videos = sorted((tmp_path / "study-videos").glob("*.mp4"))
    assert len(videos) == 8
    assert all("comment" not in read_metadata(path) for path in videos)


# ---- in a browser
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless browser without network."""
    with opened(viewport={"width": 1200, "height": 900}) as context:
        yield context


def start(browser: Any, page: Path, rater: str) -> Any:
    """The page, asking its first question."""
    tab = browser.new_page()
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.problems = problems
    tab.requested = []
    tab.on("request", lambda request: tab.requested.append(request.url))
    tab.goto(page.as_uri())
    tab.fill("#rater", rater)
    tab.press("#rater", "Enter")
    tab.wait_for_selector("#asking:not([hidden])")
    return tab


def wait_until_kept(browser: Any, page: Path, count: int) -> None:
    """Wait until another tab sees that many answers: the browser takes what a tab stores from it some time later, and a
    tab that is opened before that reads what was stored before."""
    other = browser.new_page()
    other.goto(page.as_uri())
    other.wait_for_function(
        "count => Object.entries(localStorage).some(([key, value]) => key.startsWith('emosh-study-')"
        " && JSON.parse(value).rater === 'Bo' && JSON.parse(value).answers.length === count)",
        arg=count,
    )
    other.close()


def saved(tab: Any, folder: Path, button: str = "#save") -> Path:
    """The file that the page saves."""
    with tab.expect_download() as download:
        tab.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_rater_answers_everything_with_the_keyboard(browser: Any, page: Path, tmp_path: Path) -> None:
    """Arrow and number keys answer; the file holds each answer once; videos play; nothing is fetched from anywhere."""
    tab = start(browser, page, "Ann B.")
    tab.wait_for_function("[...document.querySelectorAll('video')].every(v => v.readyState >= 2 && v.videoWidth > 0)")
    assert tab.evaluate("document.getElementById('ref').naturalHeight") == 100
    assert tab.inner_text("#count") == "Pair 1 of 4"
    assert tab.inner_text("#question") == "Which moves better?"
    for key in ("ArrowLeft", "ArrowDown", "3", "2", "1", "ArrowRight", "1", "1"):
        assert tab.is_visible("#asking")
        tab.keyboard.press(key)
    assert tab.is_visible("#end")
    path = saved(tab, tmp_path)
    found = json.loads(path.read_text())
    assert json.loads(tab.input_value("#text"))["answers"] == found["answers"]
    assert [each["choice"] for each in found["answers"]] == [
        "left", "same", "right", "same", "left", "right", "left", "left",
    ]  # fmt: skip
    assert len({(each["item"], each["question"]) for each in found["answers"]}) == 8
    assert "Ann_B_" in path.name
    assert tab.problems == []
    assert all(url.startswith(("file:", "blob:")) for url in tab.requested)


def test_closing_the_page_loses_nothing(browser: Any, page: Path, tmp_path: Path) -> None:
    """After a reload the same rater goes on at the first unanswered question, with the same sides; Backspace mends."""
    tab = start(browser, page, "Bo")
    for key in ("1", "2", "3"):
        tab.keyboard.press(key)
    before = json.loads(saved(tab, tmp_path, "#save-early").read_text())
    wait_until_kept(browser, page, 3)
    tab.close()
    tab = start(browser, page, "Bo")
    assert tab.inner_text("#count") == "Pair 2 of 4"
    tab.keyboard.press("Backspace")
    tab.keyboard.press("1")
    after = json.loads(saved(tab, tmp_path, "#save-early").read_text())
    assert after["answers"][:2] == before["answers"][:2]
    changed = {key: (before["answers"][2][key], after["answers"][2][key]) for key in ("item", "left", "choice")}
    assert changed["item"][0] == changed["item"][1]
    assert changed["left"][0] == changed["left"][1]
    assert changed["choice"] == ("right", "left")


def test_each_rater_has_an_order_and_sides_of_their_own(browser: Any, page: Path) -> None:
    """Over ten raters, more than one order and both sides of a pair occur."""
    tab = start(browser, page, "someone")
    orders = tab.evaluate("[...Array(10).keys()].map(n => ordered('rater ' + n).map(i => [i.id, i.left === i.x]))")
    assert len({tuple(pair for pair, _ in order) for order in orders}) > 1
    first = orders[0][0][0]
    assert {side for order in orders for pair, side in order if pair == first} == {True, False}


def test_what_is_clicked_is_what_is_counted(browser: Any, page: Path, tmp_path: Path) -> None:
    """Raters who always click the video that the key calls ours make 100 % good; against, 100 % bad."""
    key = json.loads(page.with_suffix(".key.json").read_text())
    ours = {entry["ours"] for entry in key["items"]}
    files = []
    for rater, wanted in (("yes", True), ("no", False)):
        tab = start(browser, page, rater)
        for _ in range(8):
            left = tab.evaluate("item().left")
            tab.click(f"[data-choice={'left' if (left in ours) == wanted else 'right'}]")
        files.append(saved(tab, tmp_path))
    for path, name in zip(files, ("good", "bad"), strict=True):
        said = emosh("evaluate", "study", "--answers", path, "--key", page.with_suffix(".key.json"),
                     "-o", tmp_path / f"{name}.json", "--json")  # fmt: skip
        assert said.code == 0, said.err
        for section in said.json["questions"]:
            assert {row[name]["percent"] for row in section["methods"].values()} == {100}
    both = emosh("evaluate", "study", "--answers", *files, "--key", page.with_suffix(".key.json"),
                 "-o", tmp_path / "both.json", "--json")  # fmt: skip
    assert [row["good_minus_bad"]["percent"] for row in both.json["questions"][0]["methods"].values()] == [0, 0]
    assert both.json["questions"][0]["alpha"] < 0
    assert "| secretours against |" in both.json["markdown"]


# ---- what is refused
def answers(page: Path, **changed: Any) -> dict[str, Any]:
    """A rater's file, hand-made."""
    key = json.loads(page.with_suffix(".key.json").read_text())
    item = key["items"][0]
    one = {"item": item["id"], "question": 0, "left": item["ours"], "right": item["other"], "choice": "left"}
    return {"emosh_study": key["study"], "version": 1, "rater": "ann", "answers": [one], **changed}


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ({"emosh_study": "other"}, "answers study other, but the key belongs to study"),
        ({"answers": "none"}, "has no answers"),
        ({"answers": [{"item": "x"}]}, "has an answer that does not belong to this study"),
        ({"answers": [{"question": 0, "choice": "best"}]}, "has an answer that does not belong to this study"),
        ({"question": float("inf")}, "has an answer that does not belong to this study"),
    ],
)
def test_foreign_answers_are_refused(page: Path, tmp_path: Path, spoil: dict[str, Any], expected: str) -> None:
    """A file of another study, or with an answer that the study does not have, is refused by name."""
    path = tmp_path / "a.json"
    given = answers(page, **spoil)
    if "question" in spoil:
        given["answers"][0] |= spoil
    path.write_text(json.dumps(given))
    line = refused("evaluate", "study", "--answers", path, "--key", page.with_suffix(".key.json"))
    assert expected in line
    assert str(path) in line


def test_a_rater_counts_once(page: Path, tmp_path: Path) -> None:
    """Two files of one rater are refused; the key is found beside the answers; its judgement is ours, good."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(answers(page)))
    (tmp_path / "s.key.json").write_text(page.with_suffix(".key.json").read_text())
    key = read_key(find_key([tmp_path / "a.json"]))
    assert np.nansum(read_judgements([tmp_path / "a.json"], key).values) == 1
    with pytest.raises(InputError, match="are both from rater 'ann'"):
        read_judgements([tmp_path / "a.json", tmp_path / "b.json"], key)


@pytest.mark.parametrize(
    ("ours", "spoil", "expected"),
    [
        ("nobody", None, "has no method 'nobody'"),
        ("secretours", "ref", "has no photos in a folder called 'ref'"),
        ("secretours", "drive", "has no driving videos in a folder called 'drive'"),
    ],
)
def test_a_folder_of_another_shape_is_refused(
    runs: Path, tmp_path: Path, ours: str, spoil: str | None, expected: str
) -> None:
    """What is missing is named."""
    for folder in runs.iterdir():
        if folder.name != spoil:
            (tmp_path / folder.name).symlink_to(folder)
    with pytest.raises(InputError, match=expected):
        design_study(tmp_path, ours)


def test_an_empty_question_is_refused() -> None:
    """A study asks something."""
    with pytest.raises(InputError, match="at least one"):
        StudyConfig(questions=())
