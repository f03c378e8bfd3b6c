"""The shape of the command line: what it imports, which commands and flags it has, what its help promises."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from emosh_cli.app import build
from tests.command_line import emosh, refused

HEAVY = ("torch", "numpy", "mediapipe", "cv2", "av", "scipy", "numba", "PIL", "skimage", "diffusers", "transformers",
         "smplx", "anny", "safetensors", "jaxtyping", "tensorflow", "jax", "matplotlib")  # fmt: skip

WORK = {"--config", "--set", "--dry-run", "--force"}
TALK = {"--quiet", "-q", "--json"}
OUT = {"-o", "--out"}
BODY = {"--body"}
MODEL = {"--model", "--adapter", "--device"}
COMMANDS = {
    "animate": {
        "--ref",
        "--drive",
        "--backend",
        "--framing",
        "--drawing",
        "--face",
        "--replace",
        "--person",
        "--no-disentangle",
        "--no-contacts",
        "--size",
        "--strict",
        "--jobs",
        "--seed",
        "--vram",
        "--plan",
    }
    | MODEL
    | BODY
    | OUT
    | WORK
    | TALK,
    "generate": {
        "--ref",
        "--motion",
        "--latents",
        "--backend",
        "--framing",
        "--drawing",
        "--face",
        "--replace",
        "--no-sac",
        "--no-hybrid",
        "--no-disentangle",
        "--no-contacts",
        "--size",
        "--color-anchor",
        "--jobs",
        "--seed",
        "--vram",
        "--plan",
    }
    | MODEL
    | BODY
    | OUT
    | WORK
    | TALK,
    "track": {
        "--jobs",
        "--overlay",
        "--person",
        "--fov",
        "--focal-px",
        "--height-cm",
        "--solver",
        "--prior",
        "--keypoints",
    }
    | {"--detector", "--strict"}
    | BODY
    | OUT
    | WORK
    | TALK,
    "retarget": {"--ref", "--no-disentangle", "--no-contacts"} | BODY | OUT | WORK | TALK,
    "render-cond": {"--size", "--zoom", "--no-hybrid", "--drawing", "--framing", "--ref", "--camera"}
    | BODY
    | OUT
    | WORK
    | TALK,
    "encode": {
        "--ref",
        "--cond",
        "--motion",
        "--video",
        "--replace",
        "--target",
        "--manifest",
        "--jobs",
        "--workers",
        "--model",
        "--device",
    }
    | BODY
    | OUT
    | WORK
    | TALK,
    "evaluate": {"--truth", "--motion", "--ref", "--tracked", "--plot", "--table", "--jobs"} | BODY | OUT | WORK | TALK,
    "train": {"--validation", "--plan", "--hardware", "--model", "--device"} | OUT | WORK | TALK,
    "curate": {"--workers", "--jobs", "--engine", "--synthetic", "--first", "--motion"} | BODY | OUT | WORK | TALK,
    "inspect": TALK,
    "sign": {"--certificate", "--key", "--algorithm"} | OUT | WORK | TALK,
    "export": {
        "--to",
        "--fps",
        "--ref",
        "--ref-motion",
        "--video",
        "--video-motion",
        "--framing",
        "--lock-feet",
    }
    | BODY
    | OUT
    | WORK
    | TALK,
    "evaluate ablate": {"--backend", "--jobs", "--seed"} | MODEL | BODY | OUT | WORK | TALK,
    **{
        name: {
            "--drivers",
            "--variant",
            "--inputs-for",
            "--backend",
            "--engine",
            "--workers",
            "--jobs",
            "--seed",
            *more,
        }
        | MODEL
        | BODY
        | OUT
        | WORK
        | TALK
        for name, more in (("evaluate cross", {"--refs"}), ("evaluate self", set()))
    },
    "evaluate study": {"--ours", "--clips", "--seed", "--answers", "--key"} | OUT | WORK | TALK,
    "gallery": {"--embed", "--no-overlay", "--title"} | BODY | OUT | WORK | TALK,
    "view": {"--video"} | BODY | OUT | WORK | TALK,
    "models list": TALK,
    "models bake": TALK,
    "models add": {"--name", "--copy", "--trust"} | TALK,
    "models fetch": TALK,
    "models prepare": TALK,
    "doctor": TALK,
    "config show": WORK | TALK,
    "config list": TALK,
    "config init": WORK | TALK,
}
"""Every command and its flags, frozen: a change here is a change for every script that calls emosh."""


def commands() -> Iterator[tuple[str, Any]]:
    """(name, command) of everything that runs."""

    def walk(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(f"{prefix}{name} ", command)
            else:
                yield f"{prefix}{name}", command

    yield from walk("", typer.main.get_command(build()))


def test_commands_and_flags_are_frozen() -> None:
    """The commands and their flags are exactly those listed here."""
    found = {
        name: {flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")}
        for name, command in commands()
    }
    assert found == COMMANDS


def test_help_imports_nothing_heavy() -> None:
    """`emosh --help` in a fresh process imports no array, picture or network package."""
    code = (
        "import sys; from emosh_cli.app import main; sys.argv = ['emosh', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"
    assert all(name.split()[0] in finished.stdout for name in COMMANDS)


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_help_ends_with_an_example_that_parses(name: str, command: Any) -> None:
    """Each command's help has an example of that very command whose flags exist."""
    example = re.search(r"Example: emosh (.+)", command.help)
    assert example is not None, name
    words = shlex.split(example[1])
    assert words[: len(name.split())] == name.split()
    command.make_context(name, words[len(name.split()) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_prints(name: str) -> None:
    """`emosh COMMAND --help` answers on stdout with exit code 0."""
    said = emosh(*name.split(), "--help")
    assert (said.code, said.err) == (0, "")
    assert "Usage" in said.out


def test_version() -> None:
    """--version prints the name and a version."""
    assert re.match(r"emosh \d+\.\d+\.\d+", emosh("--version").out)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trakc", "a.mp4"], "'trakc'"),
        (["track"], "VIDEO|PHOTO"),
        (["track", "a.mp4", "--ovrelay", "b.mp4"], "--ovrelay"),
        (["track", "a.mp4", "--person", "-1"], "--person"),
        (["animate", "--ref", "a.png"], "--drive"),
    ],
)
def test_a_wrong_word_is_one_line(words: list[str], expected: str) -> None:
    """A misspelt command or flag is one line that names it and where to read more."""
    line = refused(*words)
    assert expected in line
    assert "--help" in line


def test_another_package_called_stages_is_named(tmp_path) -> None:
    """A foreign `stages` that hides ours is refused by its path before anything else happens."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from emosh_cli.app import main; main()"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert str(tmp_path / "stages") in finished.stderr
    assert finished.stderr.count("\n") == 1
