"""`--strict`: a photo that does not show what has to be drawn is refused before anything is drawn."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip


def test_what_the_photo_does_not_show_is_said_in_one_line_and_refused_with_strict(clip: Clip, tmp_path: Path) -> None:
    """The astronaut's hands are hidden by her helmet. With --strict nothing is written."""
    from skimage.data import astronaut

    from stages.video.png import write_png

    out, photo = tmp_path / "photo.npz", tmp_path / "photo.png"
    write_png(photo, astronaut())
    said = emosh("track", photo, "-o", out)
    (line,) = [line for line in said.err.splitlines() if "hand hidden" in line]
    assert line.count(photo.name) == 1
    out.unlink()
    assert "hand hidden" in refused("track", photo, "-o", out, "--strict")
    words = "animate", "--ref", photo, "--drive", clip.drive, "-o", out.with_suffix(".mp4")
    assert "hand hidden" in refused(*words, "--strict")
    assert not out.exists()
    assert not out.with_suffix(".mp4").exists()


def test_strict_is_for_photos(clip: Clip) -> None:
    """Of a driving video nothing is drawn."""
    assert "is a video" in refused("track", clip.drive, "--strict", "-o", clip.folder / "none.npz")
