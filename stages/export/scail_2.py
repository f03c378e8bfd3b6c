"""A motion as SCAIL-2's input folder for its animation mode: `rendered_v2.mp4`, `rendered_mask_v2.mp4`, `ref.png` and
`ref_mask.png`, the names that zai-org/SCAIL-2 and SCAIL-Pose use.

All four have the size of the result, so that SCAIL-2 resizes nothing; it halves the driving video itself. The driving
video is the neutral body on black. In a mask, blue is the person, black is background that is not to be seen, and white
is background that is to be seen; SCAIL-2 reads a channel as on above 225, so masks are lossless.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from stages.artifacts.leftovers import made_folder
from stages.artifacts.motion import Motion, expected_notes
from stages.artifacts.provenance import Provenance, sha256_file, source_notes
from stages.body.model import Body
from stages.body.same_body import require_same_body
from stages.detect.matte import PERSON, matte_near, person_matte
from stages.drawing.drawings import DrawingOptions, drawing
from stages.drawing.frames import View, covered, metre_px, posed_frames
from stages.drawing.names import DRIVE, REF
from stages.errors import InputError
from stages.export import file_names
from stages.export.config import SIDE_STEP
from stages.export.driving_frames import check_reference, nearest_rows, placed
from stages.progress import Progress, silent
from stages.raster.masks import keep_touching
from stages.raster.rasterizer import rasterizer
from stages.video.png import write_png
from stages.video.sink import VideoSink
from stages.video.source import read_photo

DRIVING, MASK, PHOTO, PHOTO_MASK = file_names.SCAIL_2
SHADED = "shaded"
BLUE, BLACK, WHITE = (0, 0, 255), (0, 0, 0), (255, 255, 255)
"""The first person, background that is not to be seen, background that is to be seen."""


@dataclass(frozen=True)
class Scail2Files:
    """What was written: number of frames, frames per second, picture size in pixels."""

    frames: int
    fps: Fraction
    width: int
    height: int


@dataclass(frozen=True)
class Crop:
    """The largest part in the middle of a picture with the shape of `width` x `height`, and that size."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int

    @staticmethod
    def centred(size: tuple[int, int], width: int, height: int) -> Crop:
        """The crop of a picture of that size (width, height)."""
        scale = min(size[0] / width, size[1] / height)
        wide, tall = max(1, round(scale * width)), max(1, round(scale * height))
        left, top = (size[0] - wide) // 2, (size[1] - tall) // 2
        return Crop(left, top, left + wide, top + tall, width, height)

    def cut(self, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """The part of the picture, resized."""
        import cv2

        part = rgb[self.top : self.bottom, self.left : self.right]
        how = cv2.INTER_AREA if part.shape[0] > self.height else cv2.INTER_CUBIC
        return cv2.resize(np.ascontiguousarray(part), (self.width, self.height), interpolation=how)

    def view(self, motion: Motion) -> View:
        """The part as a motion's picture, where the motion's own picture is the whole one."""
        scale_x, scale_y = self.width / (self.right - self.left), self.height / (self.bottom - self.top)
        fit = np.array([[scale_x, 0, -scale_x * self.left], [0, scale_y, -scale_y * self.top], [0, 0, 1]], np.float32)
        return View(self.width, self.height, fit @ motion.K, (0.0, 0.0, float(self.width), float(self.height)))


def write_scail_2(
    folder: Path,
    motion: Motion,
    body: Body,
    ref: Path,
    *,
    ref_motion: Motion | None = None,
    framing: str = DRIVE,
    fps: int | None = None,
    short_side: int = 512,
    progress: Progress = silent,
) -> Scail2Files:
    """Write the four files into `folder`, which is created if needed; each file is written atomically.

    With framing `drive` the motion's whole picture is fitted into the frames; with `ref` the person moves where the
    photo shows them, which needs `ref_motion`, the motion of the photo. It also tells where in the photo the person is.
    fps: None keeps the motion's own rate. Raises InputError for a motion of another body file, a `ref_motion` that is
    not of the photo, and a photo in which no person is found.
    """
    require_same_body("motion", motion, body)
    photo = read_photo(ref)
    check_reference(ref_motion, photo, framing, body)
    size = photo.shape[1], photo.shape[0]
    width, height = picture_size(*size, short_side)
    crop = Crop.centred(size, width, height)
    photo = crop.cut(photo)
    person = person_mask(photo, ref_motion, body, crop)
    if not person.any():
        advice = "" if ref_motion is not None else ", or say where the person is with --ref-motion NPZ"
        raise InputError(f"{ref} shows no person that can be told from the background; choose another photo{advice}")
    rate = motion.fps if fps is None else Fraction(fps)
    rows = nearest_rows(motion, rate)
    comment = {"comment": _provenance(motion, ref_motion, body, ref, framing, rate, short_side).to_json()}
    drawn = placed(motion, ref_motion, framing, body)
    view = crop.view(drawn) if framing == REF else View.fitted(drawn, width, height)
    paint = drawing(SHADED).painter(drawn, body, view, DrawingOptions())
    black = np.zeros((height, width, 3), np.uint8)
    with made_folder(folder, whole=True), ExitStack() as open_files:
        masks, driving = (  # the last is finished first: a folder that a killed run left is known by it
            open_files.enter_context(
                VideoSink(folder / name, width, height, rate, lossless=name == MASK, metadata=comment)
            )
            for name in (MASK, DRIVING)
        )
        for count, frame in enumerate(posed_frames(drawn, body, view, rows)):
            picture = paint(frame) if frame.seen["body"] else black
            driving.write(picture)
            masks.write(coloured(np.any(picture, 2), BLACK))
            progress("drawing SCAIL-2's input", count + 1, len(rows))
        open_files.close()
        write_png(folder / PHOTO, photo)
        write_png(folder / PHOTO_MASK, coloured(person, WHITE))
    return Scail2Files(len(rows), rate, width, height)


def picture_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """(width, height) nearest to the photo's shape: the shorter side as given, the longer a multiple of SIDE_STEP."""
    long_side = max(short_side, SIDE_STEP * round(short_side * max(width, height) / min(width, height) / SIDE_STEP))
    return (long_side, short_side) if width > height else (short_side, long_side)


def person_mask(
    photo: UInt8[np.ndarray, "height width 3"], reference: Motion | None, body: Body, crop: Crop
) -> Bool[np.ndarray, "height width"]:
    """The pixels of the photo that show a person.

    With the photo's motion these are its body's, and what the network takes for a person at most REACH_M from them and
    connected to them; without, all that the network finds. `crop` is the part of the whole photo that `photo` shows.
    """
    if reference is None:
        return person_matte(photo) > PERSON
    view = crop.view(reference)
    (frame,) = posed_frames(reference, body, view)
    fitted = covered(frame, body, rasterizer("numba"), view)
    if not fitted.any():
        return fitted
    return keep_touching(fitted | matte_near(photo, fitted, metre_px(frame, view)), fitted)


def coloured(
    person: Bool[np.ndarray, "height width"], background: tuple[int, int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """A mask as SCAIL-2 reads it: the person blue on the background's colour."""
    return np.where(person[..., None], np.array(BLUE, np.uint8), np.array(background, np.uint8))


def _provenance(
    motion: Motion, reference: Motion | None, body: Body, ref: Path, framing: str, fps: Fraction, short_side: int
) -> Provenance:
    inputs = {"motion": motion.provenance.fingerprint(), "ref": sha256_file(ref)}
    if reference is not None:
        inputs["ref_motion"] = reference.provenance.fingerprint()
    return Provenance(
        "export",
        config={"to": "scail-2", "framing": framing, "fps": str(fps), "short_side": short_side},
        inputs=inputs,
        weights={"body": body.sha256},
        notes={"drawing": drawing(SHADED).version, "ref": ref.name}
        | source_notes(motion.provenance)
        | expected_notes(motion),
    )
