"""The help pages of all commands as text, 80 columns wide. To write them to tests/emosh_cli/help after a change:

python -m tests.emosh_cli.help_pages
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).with_name("help")
ROOT = Path(__file__).parents[2]
PRINT_PAGES = """
import json, sys
from typer.testing import CliRunner
from emosh_cli.app import build
app, runner = build(), CliRunner()
pages = {name: runner.invoke(app, [*name.split(), "--help"], prog_name="emosh").output for name in json.load(sys.stdin)}
json.dump(pages, sys.stdout)
"""
"""Runs in a process of its own: rich and typer read the terminal's width and colours as they are imported."""
COLOUR_VARIABLES = ("FORCE_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "GITHUB_ACTIONS", "TERMINAL_WIDTH")
"""Variables that would make typer print colours, or lines of another width."""


def command_names() -> list[str]:
    """Every command and every group, "" for `emosh` itself."""
    import typer.main

    from emosh_cli.app import build

    def walk(prefix: str, command: object) -> Iterator[str]:
        yield prefix.strip()
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(f"{prefix} {name}", inner)

    return list(walk("", typer.main.get_command(build())))


def file_of(name: str) -> Path:
    """The file of a command's page: `evaluate study` is in evaluate-study.txt."""
    return FOLDER / f"{name.replace(' ', '-') or 'emosh'}.txt"


def help_pages() -> dict[str, str]:
    """Command -> its help page in a terminal of 80 columns, without colours."""
    import json

    environment = {key: value for key, value in os.environ.items() if key not in COLOUR_VARIABLES}
    environment |= {"COLUMNS": "80", "LINES": "24", "TERM": "dumb", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    finished = subprocess.run(
        [sys.executable, "-c", PRINT_PAGES], input=json.dumps(command_names()), env=environment, cwd=ROOT,
        capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    pages: dict[str, str] = json.loads(finished.stdout)
    return {
        name: "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n" for name, text in pages.items()
    }


def main() -> None:
    """Write every page, and remove pages of commands that no longer exist."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.txt"):
        path.unlink()
    for name, page in help_pages().items():
        file_of(name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
