"""The entries of a gallery page: each result with its inputs and figures. Missing overlays are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emosh_cli.run import Run
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workflows.find_results import FoundResult
    from stages.export.gallery import GalleryRun, Panel


def gallery_entry(run: Run, found: FoundResult, overlays: Path | None, body: str) -> GalleryRun:
    """The entry of one result. A missing overlay is drawn into the folder `overlays`; None: not drawn."""
    from stages.export.gallery import GalleryRun, Panel

    panels = (
        Panel("Photo", found.photo, "not found"),
        Panel("Driver", found.driver, "not found"),
        _overlay(run, found, overlays, body),
        Panel("Condition", found.condition),
        Panel("Result", found.result),
    )
    name = found.result.relative_to(found.root).with_suffix("").as_posix()
    return GalleryRun(name, panels, tuple(_figures(found)))


def _overlay(run: Run, found: FoundResult, folder: Path | None, body: str) -> Panel:
    """The result's own overlay, or an overlay that is drawn for the page and reused by the next run."""
    from emosh_cli.provenance_reader import provenance_of
    from stages.export.gallery import Panel

    if found.overlay is not None or folder is None or found.driver_motion is None or found.driver is None:
        return Panel("Overlay", found.overlay)
    record = provenance_of(found.driver_motion)
    assert record is not None
    drawn = folder / f"{record.fingerprint()[:16]}.mp4"
    if not drawn.exists():
        from stages.artifacts.motion import load_motion
        from stages.body.store import open_body
        from stages.track.overlay import write_overlay

        folder.mkdir(parents=True, exist_ok=True)
        motion = load_motion(found.driver_motion)
        try:
            write_overlay(found.driver, motion, open_body(body), drawn, run.console.progress)
        except InputError as error:
            run.console.note(f"no overlay for {found.result}: {error}")
            return Panel("Overlay", None, "not drawn")
    return Panel("Overlay", drawn)


def _figures(found: FoundResult) -> list[tuple[str, str]]:
    """(name, value) of the figures shown under a result, read from its files."""
    from emosh_cli.workflows.evaluation import summary_phrases
    from stages.video.source import probe

    about = probe(found.result)
    rows = [
        ("drawn by", str(found.record.notes.get("backend", "unknown"))),
        ("size", f"{about.width}x{about.height}"),
        ("length", f"{about.duration_seconds:.1f} s, {about.frame_count} frames"),
    ]
    if found.record.seed is not None:
        rows.append(("seed", str(found.record.seed)))
    ratio, slide = found.retarget.get("height_ratio"), found.retarget.get("foot_slide_after_cm")
    if ratio is not None:
        rows.append(("retargeted", f"height x {ratio:.3f}"))
    if slide is not None:
        rows.append(("feet slide", f"{slide:.1f} cm"))
    if found.report is not None:
        rows.append(("measured", ", ".join(summary_phrases(found.report))))
    return rows
