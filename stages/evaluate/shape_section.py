"""The report's section `shape`: which pictures are tracked for it, and the tracker's own repeat error.

A stage may not import another, so the caller gives the tracker as a function from a picture's path to its motion, or to
None if no person is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from stages.artifacts.leftovers import temporary_folder
from stages.artifacts.motion import Motion, load_motion, save_motion
from stages.artifacts.provenance import Provenance, code_digest, sha256_file
from stages.body.model import Body
from stages.errors import InputError
from stages.evaluate.sampling import evenly_spaced
from stages.evaluate.shape import shape_consistency
from stages.progress import Progress, silent
from stages.video.photo import read_photo
from stages.video.png import write_png
from stages.video.source import probe, read_frames

TrackPicture = Callable[[Path], Motion | None]


@dataclass(frozen=True)
class PhotoMotions:
    """A folder of photos' motions, so that a photo with many results is tracked only once.

    `tracker` holds the tracker's settings, because they change the motion.
    """

    folder: Path
    tracker: dict[str, Any]

    def place(self, photo: Path, body: Body, number: int) -> Path:
        """The file for the motion of the photo (number 0) or of one of its harmless changes (1 and up)."""
        weights = {"body": body.sha256, "code": code_digest()}
        made_of = Provenance("photo", self.tracker, {"photo": sha256_file(photo)}, weights)
        return self.folder / f"{made_of.fingerprint()[:24]}-{number}.npz"


def shape_section(
    result: Path,
    photo: Path,
    frames: int,
    body: Body,
    track: TrackPicture,
    *,
    whole: Motion | None = None,
    kept: PhotoMotions | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Track the photo, its harmless changes and `frames` frames of the result, each alone, and compare their shapes.

    whole: the result's motion, if it was tracked already. kept: where the photo's motions are stored.
    Raises InputError when no person is found in the photo.
    """
    reference, *again = photo_motions(photo, body, track, kept, progress)
    if reference is None:
        raise InputError(f"no person was found in {photo}; give a photo of the person to compare shapes")
    with temporary_folder() as folder:
        paths = list(_frames(result, frames, folder))
        shapes = []
        for number, path in enumerate(paths):
            shapes.append(track(path))
            progress("shape of the result", number + 1, len(paths))
    seen = [each for each in shapes if each is not None]
    section = shape_consistency(reference, seen, [each for each in again if each is not None], body, whole)
    return {**section, "frames_without_person": len(shapes) - len(seen)}


def photo_motions(
    photo: Path, body: Body, track: TrackPicture, kept: PhotoMotions | None = None, progress: Progress = silent
) -> list[Motion | None]:
    """Motions of the photo and of the photo after each harmless change; read from `kept` if they are stored there."""
    found: list[Motion | None] = []
    with temporary_folder() as folder:
        pictures = [photo, *harmless_changes(read_photo(photo), folder)]
        for number, picture in enumerate(pictures):
            place = None if kept is None else kept.place(photo, body, number)
            if place is not None and place.is_file():
                found.append(load_motion(place))
                continue
            motion = track(picture)
            progress("shape of the photo", number + 1, len(pictures))
            if place is not None and motion is not None:
                place.parent.mkdir(exist_ok=True)
                save_motion(place, motion)
            found.append(motion)
    return found


def harmless_changes(rgb: UInt8[np.ndarray, "height width 3"], folder: Path) -> Iterator[Path]:
    """Files of the photo mirrored, at 0.8 of its size, brightened, and as JPEG of quality 60: the body is the same."""
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


def _frames(result: Path, count: int, folder: Path) -> Iterator[Path]:
    """PNG files of `count` evenly spaced frames of a video."""
    chosen = set(evenly_spaced(probe(result).frame_count or 1, count))
    for frame in read_frames(result):
        if frame.index in chosen:
            path = folder / f"frame-{frame.index}.png"
            write_png(path, frame.rgb)
            yield path
