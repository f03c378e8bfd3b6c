"""The sections of a report that need other stages: the result is tracked here, since stages do not know one another."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.run import Run
from stages.cores import usable_cores
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.evaluate.config import EvaluateConfig
    from stages.progress import Progress
    from stages.track.config import TrackConfig


@dataclass
class Stopwatch:
    """A progress that also notes how long each label lasted."""

    inner: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    _label: str = ""
    _since: float = 0.0

    def __call__(self, label: str, done: int, total: int | None) -> None:
        """Pass it on, and count the time since the last call to the label that was running."""
        now = time.monotonic()
        if self._label:
            self.seconds[self._label] = self.seconds.get(self._label, 0.0) + now - self._since
        self._label, self._since = label, now
        self.inner(label, done, total)


def tracked_result(run: Run, result: Path, body: str, config: TrackConfig) -> tuple[Motion, dict[str, Any]]:
    """The result's motion, and the section `tracking`: what it took (Table 6)."""
    from emosh_cli.commands.track import tracked
    from stages.body.store import open_body

    open_body(body, progress=run.console.progress)  # baking is no part of tracking
    own, watch = run.console.progress, Stopwatch(run.console.progress)
    began = time.monotonic()
    run.console.progress = watch  # type: ignore[method-assign]
    try:
        motion = tracked(run, result, body, config)
    finally:
        run.console.progress = own  # type: ignore[method-assign]
    seconds = time.monotonic() - began
    return motion, {
        "frames": len(motion),
        "seconds": round(seconds, 3),
        "frames_per_second": round(len(motion) / seconds, 3),
        "seconds_by_step": {label: round(value, 3) for label, value in watch.seconds.items()},
        "machine": {"processor": _processor(), "cores": usable_cores(), "system": platform.platform()},
        "settings": {"solver": config.solver, "detector": config.detector},
        "reprojection": _reprojection(motion),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _reprojection(motion: Motion) -> dict[str, float | None]:
    """Mean over valid rows: pixels per part, and as a share of face height (face, hands) or shoulder width (body)."""
    from stages.artifacts.motion import PARTS

    found: dict[str, float | None] = {}
    for column, part in enumerate(PARTS):
        rows = motion.valid[:, column]
        size = motion.shoulder_width_px if part == "body" else motion.face_height_px
        sized = rows & (size > 0)
        found[f"{part}_px"] = float(motion.error_px[rows, column].mean()) if rows.any() else None
        found[f"{part}_share"] = float((motion.error_px[sized, column] / size[sized]).mean()) if sized.any() else None
    return found


def shape_section(
    progress: Progress,
    result: Path,
    photo: Path,
    body: str,
    track: TrackConfig,
    config: EvaluateConfig,
    whole: Motion | None = None,
    keep: Path | None = None,
) -> dict[str, Any]:
    """Shape consistency: the photo, some frames of the result, and the photo changed harmlessly, each tracked alone.

    whole: the result's motion, where it was tracked already. keep: a folder in which the photo's motions are kept, so
    that many results of one photo do not track it again.
    """
    from stages.body.store import open_body
    from stages.evaluate.shape import shape_consistency

    opened = open_body(body, progress=progress)
    alone = replace(track, person=0)
    reference, *again = photo_motions(progress, photo, opened, alone, keep)
    if reference is None:
        raise InputError(f"nobody was found in {photo}; shape is compared with a photo of the person")
    with tempfile.TemporaryDirectory() as folder:
        frames = list(_frames(result, config.shape_frames, Path(folder)))
        shapes = [_of(progress, "shape of the result", path, n, len(frames), opened, alone)
                  for n, path in enumerate(frames)]  # fmt: skip
    seen = [each for each in shapes if each is not None]
    section = shape_consistency(reference, seen, [each for each in again if each is not None], opened, whole)
    return {**section, "frames_without_person": len(shapes) - len(seen)}


def photo_motions(
    progress: Progress, photo: Path, body: Body, config: TrackConfig, keep: Path | None = None
) -> list[Motion | None]:
    """The photo tracked, and tracked again after each harmless change; from `keep` where they are there."""
    from stages.artifacts.motion import load_motion, save_motion
    from stages.video.photo import read_photo

    found: list[Motion | None] = []
    with tempfile.TemporaryDirectory() as folder:
        pictures = [photo, *_changed(read_photo(photo), Path(folder))]
        for number, picture in enumerate(pictures):
            place = None if keep is None else keep / f"{_of_photo(photo, body, config)}-{number}.npz"
            if place is not None and place.is_file():
                found.append(load_motion(place))
                continue
            motion = _of(progress, "shape of the photo", picture, number, len(pictures), body, config)
            if place is not None and motion is not None:
                place.parent.mkdir(exist_ok=True)
                save_motion(place, motion)
            found.append(motion)
    return found


def _of_photo(photo: Path, body: Body, config: TrackConfig) -> str:
    """What a photo's motions are made of, as a name."""
    from emosh_cli.pipeline import code_digest
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    weights = {"body": body.sha256, "code": code_digest()}
    return Provenance("photo", config_dict(config), {"photo": sha256_file(photo)}, weights).fingerprint()[:24]


def identity_section(
    progress: Progress, result: Path, photo: Path
) -> tuple[dict[str, Any] | None, dict[str, str], str]:
    """The section identity and the network's sha256; or None and why."""
    from emosh_cli.judges import Judges, how_to_add
    from stages.body.store import home
    from stages.evaluate.identity import identity
    from stages.evaluate.networks.opened import arcface

    opening = arcface(home())
    if opening is None:
        return None, {}, how_to_add("arcface", "the face network")
    embed, filed = opening
    used = Judges()
    used.use("identity", [filed])
    section = identity(result, photo, embed, progress)
    return {**section, "networks": used.files}, used.weights, ""


def _of(
    progress: Progress, label: str, path: Path, number: int, total: int, body: Body, config: TrackConfig
) -> Motion | None:
    """The motion of one picture, None where nobody is in it."""
    try:
        found = _tracked_quietly(path, body, config)
    except InputError:
        found = None
    progress(label, number + 1, total)
    return found


def _tracked_quietly(path: Path, body: Body, config: TrackConfig) -> Motion:
    from stages.track.track import track

    return track(path, body, config)


def _frames(result: Path, count: int, folder: Path) -> Iterator[Path]:
    """Evenly chosen frames of a video as PNG files."""
    from stages.evaluate.sampling import evenly
    from stages.video.picture import write_png
    from stages.video.source import probe, read_frames

    wanted = set(evenly(probe(result).frame_count or 1, count))
    for frame in read_frames(result):
        if frame.index in wanted:
            path = folder / f"frame-{frame.index}.png"
            write_png(path, frame.rgb)
            yield path


def _changed(rgb: Any, folder: Path) -> Iterator[Path]:
    """The photo mirrored, at 0.8 of its size, brightened, and through JPEG at quality 60: the same body each time."""
    import numpy as np
    from PIL import Image

    photo = Image.fromarray(rgb)
    small = photo.resize((max(16, round(photo.width * 0.8)), max(16, round(photo.height * 0.8))), Image.Resampling.BOX)
    bright = Image.fromarray(np.clip(rgb.astype(np.float32) * 1.15 + 5, 0, 255).astype(np.uint8))
    for name, picture in (
        ("mirrored.png", photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        ("small.png", small),
        ("bright.png", bright),
    ):
        picture.save(folder / name)
        yield folder / name
    photo.save(folder / "worse.jpg", quality=60)
    yield folder / "worse.jpg"


def read_motion(path: Path) -> Motion:
    """A motion from a file or a pipe."""
    from emosh_cli import pipes
    from stages.artifacts.motion import load_motion

    with pipes.readable(path) as readable:
        return load_motion(readable)
