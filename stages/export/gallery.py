"""A folder of runs as one web page: photo, driver, overlay, condition, result and figures of each run.

The page needs no network and no server. It shows small copies that every browser can play. They are stored in the page
itself, or in a folder beside it; there each copy is named by a digest of its source, so that a new page copies only
changed files. The caller decides what a run is and where its files are.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from stages.artifacts.atomic import atomic_path
from stages.artifacts.leftovers import made_folder, temporary_folder
from stages.artifacts.provenance import sha256_file
from stages.artifacts.shown_text import in_markup, in_url
from stages.counted import counted
from stages.progress import Progress, silent
from stages.video.browser import browser_photo, browser_video
from stages.video.photo import photo_size

HEIGHT_PX = 512
"""Largest height of a copy, pixels."""


@dataclass(frozen=True)
class Panel:
    """One picture or video of a run."""

    label: str
    path: Path | None
    """The file to show; None if the run has none."""
    missing: str = "none"
    """Text shown if there is no file."""


@dataclass(frozen=True)
class GalleryRun:
    """One run as the page shows it."""

    name: str
    panels: tuple[Panel, ...]
    figures: tuple[tuple[str, str], ...]
    """Label and value of each figure."""


def write_gallery(
    path: Path, runs: Sequence[GalleryRun], title: str, embed: bool = False, progress: Progress = silent
) -> int:
    """Write the page; returns how many files were copied.

    Raises InputError for a video that cannot be read; a folder of copies that was not there before is removed then.
    """
    folder = gallery_folder(path)
    with _removed_on_error(folder), temporary_folder() if embed else made_folder(folder) as place:
        copies = _Copies(place, embed, sum(panel.path is not None for run in runs for panel in run.panels), progress)
        sections = "\n".join(_section(number, run, copies) for number, run in enumerate(runs))
    page = files("stages.export").joinpath("gallery.html").read_text(encoding="utf-8")
    count = counted(len(runs), "run")
    for mark, text in (("TITLE", in_markup(title)), ("COUNT", count), ("RUNS", sections)):
        page = page.replace(f"<!--{mark}-->", text)
    with atomic_path(path) as part:
        part.write_text(page, encoding="utf-8")
    return copies.made


@contextmanager
def _removed_on_error(folder: Path) -> Iterator[None]:
    was_there = folder.exists()
    try:
        yield
    except BaseException:
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def gallery_folder(path: Path) -> Path:
    """The folder of a page's copies."""
    return path.with_name(f"{path.stem}-files")


@dataclass
class _Copies:
    """Makes the copies that are missing, and gives each copy's address in the page."""

    folder: Path
    embed: bool
    total: int
    progress: Progress
    done: int = 0
    made: int = 0

    def address(self, source: Path) -> str:
        """The address of the copy of a photo or video."""
        still = photo_size(source) is not None
        name = hashlib.sha256(f"{sha256_file(source)} {HEIGHT_PX}".encode()).hexdigest()[:16]
        copy = self.folder / f"{name}.{'jpg' if still else 'mp4'}"
        if not copy.exists():
            (browser_photo if still else browser_video)(source, copy, HEIGHT_PX)
            self.made += 1
        self.done += 1
        self.progress("copying for the gallery", self.done, self.total)
        if not self.embed:
            return f"{in_url(self.folder.name)}/{copy.name}"
        kind = "image/jpeg" if still else "video/mp4"
        return f"data:{kind};base64,{base64.b64encode(copy.read_bytes()).decode()}"


def _section(number: int, run: GalleryRun, copies: _Copies) -> str:
    panels = "\n".join(_figure(panel, run.name, copies) for panel in run.panels)
    figures = "".join(
        f"<div><dt>{in_markup(label)}</dt><dd>{in_markup(value)}</dd></div>" for label, value in run.figures
    )
    return (
        f'<section class="run" id="run{number}" tabindex="-1" aria-labelledby="name{number}">\n'
        f'<h2 id="name{number}">{in_markup(run.name)}</h2>\n<div class="panels">\n{panels}\n</div>\n'
        f"<dl>{figures}</dl>\n</section>"
    )


def _figure(panel: Panel, run: str, copies: _Copies) -> str:
    label = in_markup(panel.label)
    if panel.path is None:
        return f'<figure><div class="none">{in_markup(panel.missing)}</div><figcaption>{label}</figcaption></figure>'
    source, name = copies.address(panel.path), in_markup(f"{panel.label} of {run}")
    shown = (
        f'<img src="{source}" alt="{name}" loading="lazy">'
        if source.endswith(".jpg") or source.startswith("data:image")
        else f'<video src="{source}" muted loop playsinline preload="metadata" aria-label="{name}"></video>'
    )
    return f'<figure><button class="panel" type="button">{shown}</button><figcaption>{label}</figcaption></figure>'
