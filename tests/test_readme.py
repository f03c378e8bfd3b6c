"""The README's commands, run in order in an empty folder with a real photo and a short driving clip."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("emosh ")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder holding a.png (scikit-image's astronaut) and drive.mp4 (her, scripted, ten frames)."""
    from fractions import Fraction

    from skimage.data import astronaut

    from stages.artifacts.motion import load_motion, save_motion
    from stages.body.store import open_body
    from stages.retarget.scripted import scripted_motion
    from stages.video.png import write_png

    folder = tmp_path_factory.mktemp("readme")
    write_png(folder / "a.png", astronaut())
    run("emosh track a.png -o made.npz --quiet", folder)
    script = scripted_motion(load_motion(folder / "made.npz"), open_body("open"), seconds=1.0, fps=Fraction(10))
    save_motion(folder / "script.npz", script)
    run("emosh generate --ref a.png --motion script.npz --backend puppet -o drive.mp4 --quiet", folder)
    for place in ("ref/a.png", "drive/a.mp4", "emosh/a.mp4", "another/a.mp4"):
        copy = folder / "runs" / place
        copy.parent.mkdir(parents=True)
        copy.write_bytes((folder / ("a.png" if place.endswith("png") else "drive.mp4")).read_bytes())
    (folder / "videos").mkdir()
    (folder / "videos" / "drive.mp4").write_bytes((folder / "drive.mp4").read_bytes())
    results_of_two_methods(folder)
    return folder


def results_of_two_methods(folder: Path) -> None:
    """runs.toml as the README shows it, and its folders: the clip itself, and a size that MimicMotion writes."""
    import shutil
    from fractions import Fraction

    import numpy as np

    from stages.video.sink import VideoSink

    shown = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    (folder / "runs.toml").write_text(next(text for text in shown if "[methods.ours]" in text))
    for name in ("real", "results/ours", "results/mimicmotion"):
        (folder / name).mkdir(parents=True)
    for name in ("real", "results/ours"):
        shutil.copy(folder / "drive.mp4", folder / name / "0001.mp4")
    with VideoSink(folder / "results/mimicmotion/0001.mp4", 576, 1024, Fraction(15)) as sink:
        for grey in range(90, 105):
            sink.write(np.full((1024, 576, 3), grey, np.uint8))


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One command of the installed program, as a shell would run it."""
    words = [sys.executable, "-m", "emosh_cli", *shlex.split(command)[1:]]
    path = os.pathsep.join(filter(None, [str(README.parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    finished = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished


def test_there_is_something_to_run() -> None:
    """The README shows the whole chain and every stage that is built."""
    shown = {command.split()[1] for command in COMMANDS}
    assert shown >= {
        "animate",
        "track",
        "retarget",
        "render-cond",
        "generate",
        "evaluate",
        "inspect",
        "export",
        "doctor",
    }


def test_every_command_works_in_order(folder: Path) -> None:
    """Each command exits with 0 and leaves the file it names."""
    for command in COMMANDS:
        run(command, folder)
        words = shlex.split(command)
        if "-o" in words:
            made = folder / words[words.index("-o") + 1]
            assert made.stat().st_size > 0, f"{command} left no {made.name}"
