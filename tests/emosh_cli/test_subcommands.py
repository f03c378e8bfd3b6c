"""Group of two words: found before the plain command, which keeps everything else."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import typer
import typer.main

from emosh_cli.subcommands import Group


@pytest.fixture
def ran() -> list[tuple[str, object]]:
    """What ran."""
    return []


@pytest.fixture
def app(ran: list[tuple[str, object]]) -> Any:
    """`judge FILE [--ref R]` and `judge study FOLDER`, beside a third command."""
    app = typer.Typer(cls=Group)

    @app.command("judge")
    def judge(file: str, ref: Annotated[str, typer.Option("--ref")] = "none") -> None:
        ran.append(("judge", (file, ref)))

    @app.command("judge study")
    def study(folder: str) -> None:
        ran.append(("judge study", folder))

    @app.command("other")
    def other() -> None:
        ran.append(("other", None))

    return typer.main.get_command(app)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["judge", "a.mp4", "--ref", "b"], ("judge", ("a.mp4", "b"))),
        (["judge", "--ref", "b", "a.mp4"], ("judge", ("a.mp4", "b"))),
        (["judge", "study", "runs"], ("judge study", "runs")),
        (["judge", "./study"], ("judge", ("./study", "none"))),
        (["other"], ("other", None)),
    ],
)
def test_the_longest_name_runs(app: Any, ran: list, words: list[str], expected: tuple) -> None:
    """Two words that name a command run it; options, files and one-word commands go where they always went."""
    app(words, standalone_mode=False)
    assert ran == [expected]


def test_its_help_names_both_words(app: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The usage line of a two-word command is what one types."""
    app(["judge", "study", "--help"], standalone_mode=False, prog_name="emosh")
    assert "emosh judge study" in capsys.readouterr().out
