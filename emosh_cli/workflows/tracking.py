"""Tracking for several commands, and the summary of a tracked clip."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.console import Console
from emosh_cli.run import Run

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.track.config import TrackConfig


def track_source(run: Run, source: Path, body: str, config: TrackConfig, **others: Any) -> Motion:
    """The motion in a video or a photo. `others` are passed to `stages.track.track.track`: priors, keypoints."""
    from stages.body.store import open_body
    from stages.track.track import track

    opened = open_body(body, progress=run.console.progress)
    motion = track(source, opened, config, progress=run.console.progress, **others)
    note_other_people(run.console, motion, source)
    return with_contacts(motion, opened, run.console)


def with_contacts(motion: Motion, body: Body, console: Console) -> Motion:
    """The motion with its list of contacts; that of a photo unchanged."""
    from stages.contacts.find import find_contacts

    if motion.is_photo:
        return motion
    return replace(motion, contacts=find_contacts(motion, body, console.progress))


def reference_motion(run: Run, ref: Path, body: str, config: TrackConfig) -> Motion:
    """The motion of the reference: loaded from a .npz, or tracked in the photo."""
    from stages.artifacts.motion import load_motion

    return load_motion(ref) if ref.suffix == ".npz" else track_source(run, ref, body, config)


def note_other_people(console: Console, motion: Motion, source: Path) -> None:
    """If several people are in the source, print which one was tracked."""
    others = motion.provenance.notes.get("other_people", 0)
    person = motion.provenance.config.get("person", 0)
    if others:
        choice = "the largest was tracked" if person == 0 else f"number {person} was tracked (0 is the largest)"
        console.note(f"{1 + others} people in {source}; {choice}; choose another with --person 0 to {others}")


def summary_of(motion: Motion, seconds: float) -> tuple[str, dict]:
    """The summary of a tracked clip as one line, and as figures."""
    from stages.track.summary import summarize

    summary = summarize(motion)
    pace = "" if len(motion) == 1 else f" {len(motion) / max(seconds, 1e-9):.1f} frames/s,"
    return f"{summary}{pace} {seconds:.1f} s", asdict(summary)
