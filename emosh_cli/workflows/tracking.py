"""Tracking as several commands ask for it, and what is said of a tracked clip."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.console import Console
from emosh_cli.run import Run

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.track.config import TrackConfig


def tracked(run: Run, source: Path, body: str, config: TrackConfig, **others: Any) -> Motion:
    """The motion in a video or a photo. `others` are `stages.track.track.track`'s: priors and keypoints."""
    from stages.body.store import open_body
    from stages.track.track import track

    opened = open_body(body, progress=run.console.progress)
    motion = track(source, opened, config, progress=run.console.progress, **others)
    tell_of_others(run.console, motion, source)
    return motion


def reference_motion(run: Run, ref: Path, body: str, config: TrackConfig) -> Motion:
    """The reference's motion: loaded from a .npz, or tracked in the photo."""
    from stages.artifacts.motion import load_motion

    return load_motion(ref) if ref.suffix == ".npz" else tracked(run, ref, body, config)


def tell_of_others(console: Console, motion: Motion, source: Path) -> None:
    """Say who was tracked where several people are in the source."""
    others = motion.provenance.notes.get("other_people", 0)
    person = motion.provenance.config.get("person", 0)
    if others:
        taken = "the largest was tracked" if person == 0 else f"number {person} was tracked (0 is the largest)"
        console.note(f"{1 + others} people in {source}; {taken}; choose with --person 0 to {others}")


def summarized(motion: Motion, seconds: float) -> tuple[str, dict]:
    """The line under a tracked clip, and the same as figures."""
    from stages.track.summary import summarize

    summary = summarize(motion)
    pace = "" if len(motion) == 1 else f" {len(motion) / max(seconds, 1e-9):.1f} frames/s,"
    return f"{summary}{pace} {seconds:.1f} s", asdict(summary)
