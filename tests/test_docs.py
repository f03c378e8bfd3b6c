"""The README and the pages: their commands run, their links and pictures are there, what they quote is in the code."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from stages.body.model import Body
from tests.command_line import emosh

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in (
    ROOT / "README.md", *(DOCS / f"{name}.md" for name in (
        "README", "track", "animate", "contacts", "gpu", "diffusion-model", "train-and-curate", "evaluate", "export",
        "comfyui", "files-and-formats", "troubleshooting", "architecture", "benchmarks", "paper"))
)}  # fmt: skip
TASKS = [name for name in PAGES if not name.endswith(("README.md", "benchmarks.md", "paper.md"))]
BY_OTHER_COMMANDS = {"house.svg", "learning.png", "learning_curve.png", "plan_by_card.png", "track_ablation.png",
                     "track_real.webp"}  # fmt: skip
"""Pictures that `make docs-map` and the benchmarks draw."""
PICTURE_KB, ANIMATION_KB, ALL_KB = 400, 3000, 6000
FRAMES, FPS = 6, 10


def blocks(page: str, kind: str = "[a-z]*") -> list[str]:
    """The page's code blocks of that kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Lines of the blocks that a reader can run as they are."""
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line]


def script() -> ModuleType:
    """docs/make_pictures.py."""
    spec = importlib.util.spec_from_file_location("make_pictures", DOCS / "make_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# ---- commands
class Folder:
    """A folder with a.png and drive.mp4, in which commands are run. A line that two pages show is run once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: set[str] = set()

    def run(self, line: str) -> None:
        """Run a line as the reader would, and see that it leaves the file it names."""
        if line in self.done:
            return
        said = emosh(*shlex.split(line)[1:])
        assert said.code == 0, f"{line}\n{said.out}\n{said.err}"
        words = shlex.split(line)
        if "-o" in words and "--dry-run" not in words:
            made = self.path / words[words.index("-o") + 1]
            assert made.stat().st_size > 0, f"{line} left no {made.name}"
        self.done.add(line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, body: Body) -> Iterator[Folder]:
    """a.png (scikit-image's astronaut), drive.mp4 (her, scripted), and the folders that the pages speak of."""
    from skimage.data import astronaut

    from stages.artifacts.motion import load_motion, save_motion
    from stages.retarget.scripted import scripted_motion
    from stages.video.png import write_png

    path = tmp_path_factory.mktemp("docs")
    before = Path.cwd()
    os.chdir(path)
    try:
        made = Folder(path)
        write_png(path / "a.png", astronaut()[:320, 60:380])
        made.run("emosh track a.png -o ref.npz")
        motion = scripted_motion(load_motion(path / "ref.npz"), body, seconds=FRAMES / FPS, fps=Fraction(FPS))
        save_motion(path / "script.npz", motion)
        made.run("emosh generate --ref a.png --motion script.npz --backend puppet --set puppet.size=320 -o drive.mp4")
        other_folders(path)
        yield made
    finally:
        os.chdir(before)


def other_folders(path: Path) -> None:
    """videos/ to curate, runs/ for a study, and what comparison.toml names."""
    from stages.video.sink import VideoSink

    copies = ("videos/drive.mp4", "runs/ref/a.png", "runs/drive/a.mp4", "runs/emosh/a.mp4", "runs/another/a.mp4",
              "real/0001.mp4", "results/ours/0001.mp4", "results/mimicmotion/0001.mp4")  # fmt: skip
    for place in map(Path, copies):
        (path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path / ("a.png" if place.suffix == ".png" else "drive.mp4"), path / place)
    with VideoSink(path / "results/mimicmotion/0001.mp4", 576, 1024, Fraction(15)) as sink:  # its own size and rate
        for grey in range(90, 100):
            sink.write(np.full((1024, 576, 3), grey, np.uint8))
    table = next(text for text in blocks("docs/evaluate.md", "toml") if "[methods.ours]" in text)
    (path / "comparison.toml").write_text(table, encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_works_in_order(folder: Folder, page: str) -> None:
    """A page's commands, after the README's, end with 0 and leave the files they name."""
    for line in (*commands("README.md"), *commands(page)):
        folder.run(line)


def test_the_installed_program_is_the_same() -> None:
    """`python -m emosh_cli`, which the installed `emosh` is, answers as the commands in this process do."""
    words = [sys.executable, "-m", "emosh_cli", "--version"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    finished = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert finished.stdout == emosh("--version").out


def shown() -> list[str]:
    """Every emosh command in any block, those too that need weights or a GPU."""
    lines = [line for page in PAGES for block in blocks(page) for line in block.splitlines()]
    pieces = [piece.strip() for line in lines for piece in line.split(" | ")]
    found = [re.search(r"(?:^emosh|-m emosh_cli) (.+)$", piece) for piece in pieces]
    return sorted({match[1] for match in found if match})


@pytest.mark.parametrize("words", shown())
def test_every_command_shown_is_spelt_right(words: str) -> None:
    """Commands that need weights are not run, but their words and flags are those of the program."""
    import typer.main

    from emosh_cli.app import build

    command: Any = typer.main.get_command(build())
    given = shlex.split(words)
    while hasattr(command, "commands"):
        context = command.make_context("emosh", [], resilient_parsing=True)
        _, command, given = command.resolve_command(context, given)
    command.make_context("emosh", given)


def test_every_setting_shown_exists() -> None:
    """What the pages say after --set and --config are names of settings and of presets."""
    from emosh_cli import settings

    known = {row[0] for section in settings.SECTIONS for row in settings.describe_settings(section)}
    for page, text in PAGES.items():
        for key in re.findall(r"--set ([\w.]+)=", text):
            assert key == "key" or key == "section.key" or key.split(".")[-1] in known, f"{page}: {key}"
        for name in re.findall(r"--config ([\w.-]+)", text):
            assert name in settings.presets() or name.endswith(".toml"), f"{page}: {name}"


# ---- what the pages quote
def sayings() -> str:
    """All texts in the code, a \\0 where a value stands."""
    texts = []
    for path in (*(ROOT / "emosh_cli").rglob("*.py"), *(ROOT / "stages").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(str(v.value) if isinstance(v, ast.Constant) else "\0" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def wrong_lines(page: str) -> list[str]:
    """What stands in backticks at the start of the rows of its tables of what goes wrong."""
    tables = re.split(r"^(?=\| the line|\| what you see)", PAGES[page], flags=re.MULTILINE)[1:]
    return [line for table in tables for line in re.findall(r"^\| `([^`]+)`", table.split("\n\n")[0], re.MULTILINE)]


@pytest.mark.parametrize("page", TASKS)
def test_error_lines_are_those_that_the_program_says(page: str) -> None:
    """Of each line in a table of what goes wrong, some three words in a row are in the code."""
    said = sayings()
    for line in wrong_lines(page):
        words = line.replace("...", " ").split()
        triples = [" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))]
        assert any(each.strip(" ,:;()") in said for each in triples), f"{page}: nothing in the code says '{line}'"


def test_tables_are_those_of_the_schemas() -> None:
    """The tables of arrays are what `make docs-pictures` writes from the schemas."""
    assert script().with_tables(PAGES["docs/files-and-formats.md"]) == PAGES["docs/files-and-formats.md"]


def test_the_readme_is_a_front_page() -> None:
    """At most 150 lines, the animated picture and both make targets at its start, and every command in its table."""
    from emosh_cli.app import build

    text = PAGES["README.md"]
    assert len(text.splitlines()) <= 150
    head = "\n".join(text.splitlines()[:24])
    assert all(each in head for each in ("docs/pictures/front.webp", "make demo", "make test"))
    import typer.main

    for name in typer.main.get_command(build()).commands:  # type: ignore[attr-defined]
        assert f"`{name}`" in text or name.split()[0] != name, name


def test_every_dependency_has_its_licence() -> None:
    """The README's licence table names every runtime dependency and every extra's package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name != "dev"}
    wanted = [*project["dependencies"], *(each for needs in extras.values() for each in needs)]
    rows = PAGES["README.md"].split("## Licences")[1].splitlines()
    names = {
        name.split(" (")[0].strip() for row in rows if row.startswith("| ") for name in row.split("|")[1].split(",")
    }
    assert {re.split(r"[^\w-]", each)[0] for each in wanted} <= names


# ---- links and pictures
def links(page: str) -> list[str]:
    """Targets of links and pictures outside code blocks."""
    text = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    return [*re.findall(r"\]\(([^)]+)\)", text), *re.findall(r'src="([^"]+)"', text)]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every link inside the repository leads to a file, and to a heading where it names one."""
    for link in links(page):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w-]", "", each.lower().replace(" ", "-")) for each in headings}, link


def test_pictures_are_made_by_the_script_and_used() -> None:
    """docs/pictures holds what the script draws; each is on some page, and each task's page has one."""
    used = {Path(link).name: page for page in PAGES for link in links(page) if "pictures/" in link}
    kept = {path.name for path in (DOCS / "pictures").iterdir()}
    assert kept == set(script().PICTURES) | BY_OTHER_COMMANDS == set(used)
    assert all(any("pictures/" in link for link in links(page)) for page in TASKS)


def test_pictures_are_small() -> None:
    """A clone stays small: the animation under 3 MB, every other picture under 400 kB, all under 6 MB."""
    sizes = {path.name: path.stat().st_size / 1000 for path in (DOCS / "pictures").iterdir()}
    assert sizes.pop("front.webp") < ANIMATION_KB
    assert max(sizes.values()) < PICTURE_KB
    assert sum(sizes.values()) < ALL_KB - ANIMATION_KB
