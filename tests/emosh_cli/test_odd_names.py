"""Files of any name: pages with quotes in their names work in a browser; names that are no UTF-8 are refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import opened
from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip

ODD = "a\"b'<i> %41#?&amp;ö"
BAD = os.fsdecode(b"caf\xe9")

COMMANDS: dict[str, tuple[object, ...]] = {
    "track": ("track", f"{BAD}.mp4", "-o", "out.npz"),
    "track -o": ("track", "a.mp4", "-o", f"{BAD}.npz"),
    "track --prior": ("track", "a.mp4", "--prior", f"{BAD}.npz", "-o", "out.npz"),
    "retarget": ("retarget", f"{BAD}.npz", "--ref", "ref.npz"),
    "render-cond": ("render-cond", f"{BAD}.npz"),
    "render-cond --config": ("render-cond", "a.npz", "--config", f"{BAD}.toml"),
    "encode": ("encode", "--ref", f"{BAD}.png", "--cond", "cond.mp4", "-o", "out.safetensors"),
    "encode --manifest": ("encode", "--manifest", f"{BAD}.jsonl", "-o", "out"),
    "generate": ("generate", "--ref", f"{BAD}.png", "--motion", "a.npz", "-o", "out.mp4"),
    "generate --latents": ("generate", "--latents", f"{BAD}.safetensors", "-o", "out.mp4"),
    "generate --model": ("generate", "--latents", "a.safetensors", "-o", "out.mp4", "--model", BAD),
    "animate": ("animate", "--ref", f"{BAD}.png", "--drive", "a.mp4", "-o", "out.mp4"),
    "evaluate": ("evaluate", f"{BAD}.mp4", "--truth", "a.mp4", "-o", "out.json"),
    "evaluate --table": ("evaluate", "--table", f"{BAD}.toml", "-o", "out.json"),
    "evaluate study": ("evaluate", "study", BAD, "--ours", "x", "-o", "out.html"),
    "evaluate cross": ("evaluate", "cross", "--refs", BAD, "--drivers", "drivers", "-o", "out"),
    "evaluate self": ("evaluate", "self", "--drivers", BAD, "-o", "out"),
    "evaluate ablate": ("evaluate", "ablate", BAD, "-o", "out.json"),
    "train": ("train", BAD, "-o", "out"),
    "curate": ("curate", BAD, "-o", "out"),
    "curate -o": ("curate", "videos", "-o", BAD),
    "export": ("export", f"{BAD}.npz", "-o", "out.glb"),
    "view": ("view", f"{BAD}.npz", "-o", "out.rrd"),
    "gallery": ("gallery", BAD, "-o", "out.html"),
    "sign": ("sign", f"{BAD}.mp4", "--certificate", "c.pem", "--key", "k.pem"),
    "inspect": ("inspect", f"{BAD}.npz"),
    "models add": ("models", "add", "inception", f"{BAD}.pt"),
    "config init": ("config", "init", f"{BAD}.toml"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_that_is_no_utf8_is_refused_first(own_folder: Path, name: str) -> None:
    """Every command that takes a path refuses it in one line before it looks at any file, and writes nothing."""
    said = refused(*COMMANDS[name])
    assert "caf\\xe9" in said
    assert "is not valid UTF-8; rename" in said
    assert list(own_folder.iterdir()) == []


def test_every_command_with_a_path_is_tried() -> None:
    """No command that takes a path is left out of the list above."""
    import typer

    from emosh_cli.app import build

    group = typer.main.get_command(build())
    commands = [name for name, each in group.commands.items() if not hasattr(each, "commands")]  # type: ignore[attr-defined]
    takes = {name for name in commands if name not in ("doctor",)}
    assert takes <= {name.split(" -")[0] for name in COMMANDS}


def test_it_is_refused_in_a_real_process(tmp_path: Path) -> None:
    """As a shell would call it, with the name's own bytes; a good name in a bad folder is refused as well."""
    (tmp_path / BAD).mkdir()
    code = [sys.executable, "-m", "emosh_cli"]
    for words, folder in ((["render-cond", b"caf\xe9.npz"], tmp_path), (["render-cond", b"a.npz"], tmp_path / BAD)):
        ended = subprocess.run([*code, *words], capture_output=True, cwd=folder, check=False)
        assert (ended.returncode, ended.stdout) == (2, b""), ended.stderr
        assert b"not valid UTF-8" in ended.stderr
        assert ended.stderr.count(b"\n") == 1


def test_folders_that_hold_one(own_folder: Path, clip: Clip) -> None:
    """A table's and a study's folder with such a file name it before any work; a gallery spells the byte."""
    for place in ("truth", "ours", "other", "ref", "drive"):
        (own_folder / "runs" / place).mkdir(parents=True)
        source = clip.photo if place == "ref" else clip.drive
        shutil.copy(source, own_folder / "runs" / place / f"{BAD}{source.suffix}")
    table = "[sets.s]\ntruth = 'runs/truth'\n[methods.m]\ns = 'runs/ours'\n"
    (own_folder / "t.toml").write_text(table)
    for words in (("--table", "t.toml"), ("study", "runs", "--ours", "ours", "-o", "p.html"), ("ablate", "runs")):
        assert "not valid UTF-8" in refused("evaluate", *words)
    shutil.copy(clip.result, own_folder / f"{BAD}.mp4")
    said = emosh("gallery", own_folder, "-o", own_folder / "page.html", "--no-overlay")
    assert said.code == 0, said.err
    assert "caf\\xe9" in (own_folder / "page.html").read_text()


def test_a_gallery_of_any_name_works_in_a_browser(clip: Clip, tmp_path: Path) -> None:
    """A page, its folder and its runs with quotes, markup and signs of URLs in their names: every picture loads."""
    runs = tmp_path / f"runs {ODD}"
    shutil.copytree(clip.folder, runs)
    (runs / "result.mp4").rename(runs / f"{ODD}.mp4")
    (runs / "result.emosh").rename(runs / f"{ODD}.emosh")
    page = tmp_path / f"{ODD}.html"
    assert emosh("gallery", runs, "-o", page).code == 0
    with opened() as browser:
        tab = browser.new_page()
        problems: list[str] = []
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("requestfailed", lambda request: problems.append(request.url))
        tab.goto(page.as_uri())
        tab.wait_for_function("[...document.querySelectorAll('.run video')].every(v => v.readyState >= 1)")
        assert tab.evaluate("[...document.querySelectorAll('.run img')].every(i => i.naturalWidth > 0)")
        assert ODD in tab.locator("h2").all_inner_texts()
        assert tab.locator("i").count() == 0
        assert problems == []


def test_a_study_of_any_name_works_in_a_browser(clip: Clip, tmp_path: Path) -> None:
    """The same for a study whose videos lie in a folder beside the page."""
    for place in ("ours", ODD.replace("/", ""), "drive", "ref"):
        (tmp_path / "runs" / place).mkdir(parents=True)
        source = clip.photo if place == "ref" else clip.drive
        shutil.copy(source, tmp_path / "runs" / place / f"{ODD}{source.suffix}")
    with (tmp_path / "runs" / ODD / f"{ODD}.mp4").open("ab") as file:
        file.write(b"\0\0\0\x08free")
    page = tmp_path / f"{ODD}.html"
    said = emosh("evaluate", "study", tmp_path / "runs", "--ours", "ours", "-o", page, "--set", "embed=false")
    assert said.code == 0, said.err
    with opened() as browser:
        tab = browser.new_page()
        tab.goto(page.as_uri())
        tab.fill("#rater", "ann")
        tab.press("#rater", "Enter")
        tab.wait_for_function("[...document.querySelectorAll('video')].every(v => v.readyState >= 1)")
        assert tab.evaluate("document.getElementById('ref').naturalWidth") > 0
