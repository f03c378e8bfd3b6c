"""The arrays of one clip, filled frame by frame from several threads, each with its own rows."""

from __future__ import annotations

import tempfile

import numpy as np
from jaxtyping import Float

from stages.camera.background import Background
from stages.detect.observations import EVIDENCE, PARTS, POINT_COUNTS, Observations
from stages.detect.people import NOBODY, Followed
from stages.detect.reader import Reading
from stages.errors import InputError
from stages.video.source import Frame, VideoInfo

CHUNK = 1 << 20
HAND_DEPTH_GAIN = 1.5
"""Factor on the depths of the hand network, which are too flat. The best factors on rendered hands are 1.4 to 2.2, on
real ones with 3-D truth (desk) 1.0 to 1.7."""


def _on_disk(shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """An array of NaN in an unnamed file, which is deleted with the array: one hour of points takes 750 MB.

    The file is written before it is mapped, so that a full disk gives an InputError here and no crash later.
    """
    size = int(np.prod(shape))
    try:
        with tempfile.TemporaryFile(prefix="emosh-") as file:
            for at in range(0, size, CHUNK):
                file.write(np.full(min(CHUNK, size - at), np.nan, np.float32).tobytes())
            file.flush()
            return np.memmap(file, np.float32, "r+", shape=shape) if size else np.full(shape, np.nan, np.float32)
    except OSError as error:
        folder = tempfile.gettempdir()
        raise InputError(
            f"no room for the clip's landmarks in {folder} ({error.strerror}); set TMPDIR to another folder"
        ) from error


class ObservationArrays:
    """The arrays of one clip. Points are on disk, because their size grows with the clip."""

    def __init__(self, frame_count: int) -> None:
        self.points = {name: _on_disk((frame_count, count, 3)) for name, count in POINT_COUNTS.items()}
        self.evidence = np.full((frame_count, len(EVIDENCE)), np.nan, np.float32)
        self.times = np.zeros(frame_count)

    def put(self, frame: Frame, reading: Reading | None) -> None:
        self.times[frame.index] = frame.pts_seconds
        if reading is None:
            return
        for name, rows in reading.points.items():
            self.points[name][frame.index] = rows
        self.evidence[frame.index] = reading.evidence

    def cross_fade(self, into: dict[int, dict[str, Float[np.ndarray, "points 3"]]], frames: range) -> None:
        """Blend the points of these frames into those of the next lane. A part of only one lane is not blended."""
        for place, frame in enumerate(frames, start=1):
            share = place / (len(frames) + 1)
            for name, rows in into.get(frame, {}).items():
                here = self.points[name][frame]
                if np.isfinite(here[0, 0]):
                    self.points[name][frame] = (1 - share) * here + share * rows
                elif share > 0.5:
                    self.points[name][frame] = rows

    def observations(
        self, info: VideoInfo, plan: list[Followed], people: int, background: Background | None = None
    ) -> Observations:
        """The finished arrays, with calibrated depths of hands. Call it once.

        plan: who is followed in each shot, of `people` people in the clip. background: what was followed behind them.
        """
        parts = ("pose", *PARTS[1:])
        for hand in PARTS[2:]:
            self.points[hand][..., 2] *= HAND_DEPTH_GAIN
        lengths = [each.shot.last - each.shot.first for each in plan]
        found = np.stack([np.isfinite(self.points[part][:, 0, 0]) for part in parts], axis=1)
        return Observations(
            image_size=(info.width, info.height),
            fps=float(info.fps),
            is_photo=info.is_photo,
            duration_seconds=info.duration_seconds,
            other_people=people - len({each.identity for each in plan} - {NOBODY}),
            frame_index=np.arange(len(self.times)),
            pts_seconds=self.times,
            found=found,
            score=found.astype(np.float32),
            person_box=self._boxes(info),
            evidence=self.evidence,
            shot=np.repeat(np.arange(len(plan)), lengths),
            identity=np.repeat([each.identity for each in plan], lengths),
            background=background,
            **self.points,
        )

    def _boxes(self, info: VideoInfo) -> Float[np.ndarray, "frames 4"]:
        """The box around all points of a frame except invisible pose points; NaN where nothing was found."""
        boxes = np.full((len(self.times), 4), np.nan, np.float32)
        for frame in range(len(boxes)):
            pose = self.points["pose"][frame]
            seen = [rows[frame] for name, rows in self.points.items() if name not in ("pose", "pose_world")]
            every = np.concatenate([pose[pose[:, 2] > 0.5], *(rows for rows in seen if np.isfinite(rows[0, 0]))])
            if len(every):
                every = np.clip(every[:, :2], 0, (info.width, info.height))
                boxes[frame] = np.concatenate([every.min(0), every.max(0)])
        return boxes
