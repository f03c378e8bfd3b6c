"""Tracking for several commands, and the summary of a tracked clip."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.console import Console
from emosh_cli.run import Run
from stages.cores import meanwhile
from stages.errors import InputError

PERSON_FILE = "person-{}.npz"
MOST_CUTS = 12
"""Cuts that are named; the file holds all of them."""

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.track.config import TrackConfig


def track_source(run: Run, source: Path, body: str, config: TrackConfig, strict: bool = False, **others: Any) -> Motion:
    """The motion in a video or a photo. `others` are passed to `stages.track.track.track`: priors, keypoints.

    Raises InputError with `strict` for a photo that does not show what has to be drawn.
    """
    opened = _opened_body(body, run.console)
    motion = tracked(run.console, source, opened, config, **others)
    if motion.is_photo:
        note_photo_faults(run.console, motion, opened, source, strict)
    return motion


def _opened_body(name: str, console: Console) -> Body:
    """The body. One that is there is read while the tracker's modules are loaded."""
    from stages.body.store import body_path, open_body

    if not body_path(name).is_file():
        return open_body(name, progress=console.progress)
    with meanwhile(lambda: open_body(name, progress=console.progress)) as opening:
        import stages.detect.holistic
        import stages.track.track  # noqa: F401
    return opening.result()


def tracked(console: Console, source: Path, body: Body, config: TrackConfig, **others: Any) -> Motion:
    """The motion in a video or a photo with its contacts; other people and cuts are noted."""
    from stages.track.track import track

    note_remarks(console, source)
    motion = track(source, body, config, progress=console.progress, **others)
    note_people_and_shots(console, motion, source)
    note_camera(console, motion)
    return with_contacts(motion, body, console)


def note_remarks(console: Console, source: Path) -> None:
    """Print what is not as in an ordinary video, and what is done about it."""
    from stages.video.source import probe

    info = probe(source)
    turned = f"its frames are turned by {info.rotation_degrees} degrees, as the file says"
    remarks = [*info.remarks, *[turned] * bool(info.rotation_degrees)]
    if info.is_variable_rate:
        remarks.append("its frame rate varies; each frame keeps its time")
    if remarks:
        console.note(f"{source.name}: {'; '.join(remarks)}")


def with_contacts(motion: Motion, body: Body, console: Console) -> Motion:
    """The motion with its floor and its list of contacts; that of a photo unchanged."""
    from stages.contacts import find

    if motion.is_photo:
        return motion
    return find.with_contacts(motion, body, console.progress)


def track_people(run: Run, source: Path, body: str, config: TrackConfig, folder: Path) -> list[tuple[Path, Motion]]:
    """Track everyone in a video or a photo; a file each in `folder`, by the person's number."""
    from stages.artifacts.leftovers import made_folder
    from stages.artifacts.motion import save_motion
    from stages.body.store import open_body
    from stages.track.track import track_everyone

    opened, made = open_body(body, progress=run.console.progress), []
    note_remarks(run.console, source)
    for motion in track_everyone(source, opened, config, progress=run.console.progress):
        if not made:
            for old in folder.glob(PERSON_FILE.format("*")):
                old.unlink()
            note_shots(run.console, motion)
        path = folder / PERSON_FILE.format(motion.provenance.config["person"])
        motion = with_contacts(motion, opened, run.console)
        with made_folder(folder):
            save_motion(path, motion)
        run.console.note(f"{path.name}: {summary_of(motion, run.seconds)[0]}")
        made.append((path, motion))
    return made


def reference_motion(run: Run, ref: Path, body: str, config: TrackConfig) -> Motion:
    """The motion of the reference: loaded from a .npz, or tracked in the photo."""
    from stages.artifacts.motion import load_motion

    return load_motion(ref) if ref.suffix == ".npz" else track_source(run, ref, body, config)


def note_people_and_shots(console: Console, motion: Motion, source: Path) -> None:
    """If several people are in the source, print which one was tracked; if it has cuts, where they are."""
    others = motion.provenance.notes.get("other_people", 0)
    person = usual_person(motion)
    if others and person >= 0:
        choice = "the largest was tracked" if person == 0 else f"number {person} was tracked (0 is the largest)"
        people = others + len({shot["person"] for shot in motion.provenance.notes["shots"]} - {-1})
        console.note(f"{people} people in {source}; {choice}; choose another with --person 0 to {people - 1}")
    note_shots(console, motion)


def note_photo_faults(console: Console, motion: Motion, body: Body, source: Path, strict: bool) -> None:
    """Print in one line what the photo does not show. Raises InputError instead with `strict`."""
    from stages.drawing.photo_faults import photo_faults

    note_faults(console, photo_faults(motion, body), source, strict)


def note_faults(console: Console, faults: list[str], source: Path, strict: bool) -> None:
    """Print the faults of a photo in one line. Raises InputError instead with `strict`."""
    if not faults:
        return
    line = f"{source.name}: {'; '.join(faults)}"
    if strict:
        raise InputError(f"{line}; take another photo, or leave --strict out")
    console.note(line)


def usual_person(motion: Motion) -> int:
    """The number of the person who was tracked in most shots; -1 if nobody was."""
    people = Counter(shot["person"] for shot in motion.provenance.notes.get("shots", []) if shot["person"] >= 0)
    return people.most_common(1)[0][0] if people else -1


def note_shots(console: Console, motion: Motion) -> None:
    """If the source has cuts, print their times, and the shots of which somebody else or nobody was tracked."""
    shots = motion.provenance.notes.get("shots", [])
    if len(shots) < 2:
        return
    times = ", ".join(f"{shot['seconds']:.2f} s" for shot in shots[1 : 1 + MOST_CUTS])
    more = ", ..." if len(shots) > 1 + MOST_CUTS else ""
    usual = usual_person(motion)
    console.note(f"{len(shots)} shots, each fitted alone: cuts at {times}{more}")
    for what, chosen in (
        ("another person was tracked", [shot["person"] not in (usual, -1) for shot in shots]),
        ("nobody was tracked", [shot["person"] == -1 for shot in shots]),
    ):
        numbers = [str(number) for number, is_it in enumerate(chosen, start=1) if is_it]
        rest = ", ..." if len(numbers) > MOST_CUTS else ""
        if numbers:
            console.note(f"{what} in shot {', '.join(numbers[:MOST_CUTS])}{rest}")


def note_camera(console: Console, motion: Motion) -> None:
    """Print in which shots the background does not tell whether the camera moves."""
    from stages.artifacts.world import UNKNOWN

    world = motion.world
    numbers = [str(number) for number, rows in enumerate(motion.shots, 1) if world.camera[rows.start] == UNKNOWN]
    if numbers:
        where = f" in shot {', '.join(numbers[:MOST_CUTS])}" if len(motion.shots) > 1 else ""
        console.note(f"the background does not tell{where} whether the camera moves; it is taken as still")


def summary_of(motion: Motion, seconds: float) -> tuple[str, dict]:
    """The summary of a tracked clip as one line, and as figures."""
    from stages.track.summary import summarize

    summary = summarize(motion)
    pace = "" if len(motion) == 1 else f" {len(motion) / max(seconds, 1e-9):.1f} frames/s,"
    return f"{summary}{pace} {seconds:.1f} s", asdict(summary)
