"""The help pages are exactly the files in tests/emosh_cli/help, so that a change of help text is seen in review."""

from __future__ import annotations

import pytest

from tests.emosh_cli.help_pages import FOLDER, command_names, file_of, help_pages

REWRITE = "if the new text is right, write it with: python -m tests.emosh_cli.help_pages"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Command -> its help page."""
    return help_pages()


def test_every_command_has_a_page() -> None:
    """There is one file per command, and no file without a command."""
    assert {path.name for path in FOLDER.iterdir()} == {file_of(name).name for name in command_names()}, REWRITE


@pytest.mark.parametrize("name", command_names(), ids=lambda name: name or "emosh")
def test_a_page_is_as_reviewed(name: str, pages: dict[str, str]) -> None:
    """The help page of a command equals its file, and no line is wider than 80 columns."""
    assert pages[name] == file_of(name).read_text(encoding="utf-8"), REWRITE
    assert max(map(len, pages[name].splitlines())) <= 80
