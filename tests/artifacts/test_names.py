"""Names that files tell: what may be joined to a folder, and what may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.artifacts.names import checked_name, checked_reading, checked_relative, inside, refuse_links
from stages.errors import InputError

NEVER = ["", "/etc/passwd", "C:/x", "c:x", "a\0b", "a\nb", "\x1b]52;c;x\x07", "a\x9bb", "\udce9.mp4", "\\\\server\\x",
         None, 5, ["a"], "x" * 5000]  # fmt: skip


@pytest.mark.parametrize("text", NEVER)
def test_what_is_never_a_name(text: object) -> None:
    """Absolute paths, drives, control characters, halves of characters, what is no text and what is too long."""
    for check in (checked_name, checked_relative, checked_reading):
        with pytest.raises(InputError, match=r"^file\.json: "):
            check(text, "file.json")


@pytest.mark.parametrize("text", ["..", "../a", "a/../b", "a/./b", ".", "a//b", "a/", "a\\..\\b"])
def test_a_relative_path_goes_down(text: str) -> None:
    """No part may go up or be empty."""
    with pytest.raises(InputError):
        checked_relative(text, "file.json")


def test_what_is_taken() -> None:
    """Plain names with spaces, dots and any script; a path in parts; for reading, one that goes up."""
    for text in ("a.mp4", "a b.npz", "Zoë 日本.mp4", ".emosh", "a..b", "...", '"quoted".mp4', "100%.mp4"):
        assert checked_name(text, "f") == checked_relative(text, "f") == text
    assert checked_relative("people/a.mp4", "f") == "people/a.mp4"
    assert checked_reading("../videos/a.mp4", "f") == "../videos/a.mp4"
    with pytest.raises(InputError):
        checked_name("people/a.mp4", "f")


@given(st.text(st.sampled_from("./\\abC:\0\n"), max_size=12))
def test_nothing_leaves_the_folder(text: str) -> None:
    """Whatever passes, joined and normalised, still lies in the folder."""
    import os.path

    try:
        checked_relative(text, "f")
    except InputError:
        return
    assert os.path.normpath(f"/folder/{text}").startswith("/folder/")


def test_a_link_on_the_way_out_is_refused(tmp_path: Path) -> None:
    """A folder on the way that is a link to elsewhere is refused, but not one that stays inside."""
    (tmp_path / "home" / "real").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    home = tmp_path / "home"
    (home / "out").symlink_to(tmp_path / "elsewhere")
    (home / "stays").symlink_to(home / "real")
    (tmp_path / "alias").symlink_to(home)
    with pytest.raises(InputError, match="leads out"):
        inside(home, "out/a.mp4", "f")
    assert inside(home, "stays/a.mp4", "f") == home / "stays" / "a.mp4"
    assert inside(tmp_path / "alias", "real/a.mp4", "f").parent.is_dir()
    with pytest.raises(InputError, match="remove the link"):
        refuse_links(home)
    refuse_links(tmp_path / "elsewhere")
    refuse_links(tmp_path / "absent")
