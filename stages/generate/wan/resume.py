"""Store finished chunks of a clip, so that a run that was killed at any moment resumes at its last finished chunk.

Each chunk's frames are written to a lossless video. Then `state.safetensors` is replaced in one step. It holds the
sha256 of every finished chunk's video, their statistics, and what the next chunk needs. A chunk that is not yet in the
state is drawn again; the resumed result has the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from stages.artifacts.atomic import atomic_path
from stages.artifacts.names import refuse_links
from stages.artifacts.provenance import sha256_file
from stages.artifacts.safetensors_file import opened_safetensors
from stages.artifacts.text_files import parse_json
from stages.errors import InputError
from stages.generate.wan.draw import Carried
from stages.generate.wan.drift import ChunkStatistics

STATE = "state.safetensors"


@dataclass
class ClipProgress:
    """Finished chunks (sha256 and statistics of each), and what the next chunk needs."""

    carried: Carried
    digests: list[str] = field(default_factory=list)
    statistics: list[ChunkStatistics] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Number of finished chunks."""
        return len(self.digests)


class ChunkStore:
    """The folder of finished chunks of a clip, created with the first chunk. `fingerprint` identifies everything that
    decides the pixels."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = Path(folder), fingerprint

    def resumed(self, beginning: Carried) -> ClipProgress:
        """Progress of an earlier run with the same fingerprint. Without one, the folder is deleted and progress starts
        at 0. Raises InputError for a folder that is a link."""
        refuse_links(self.folder)
        found = self._read()
        if found is not None and all(self._is_whole(number, digest) for number, digest in enumerate(found.digests)):
            return found
        if self.folder.exists():
            self.clear()
        return ClipProgress(beginning)

    def frames(self, number: int) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """A finished chunk's frames, one at a time."""
        from stages.video.source import read_frames

        for frame in read_frames(self._video(number)):
            yield frame.rgb

    def add(
        self,
        progressed: ClipProgress,
        frames: UInt8[np.ndarray, "frames height width 3"],
        statistics: ChunkStatistics,
        carried: Carried,
    ) -> ClipProgress:
        """Store the next chunk. After this returns, a killed run resumes after it."""
        from stages.video.sink import VideoSink

        self.folder.mkdir(parents=True, exist_ok=True)
        video = self._video(progressed.done)
        with VideoSink(video, frames.shape[2], frames.shape[1], Fraction(30), lossless=True) as sink:
            for frame in frames:
                sink.write(frame)
        after = ClipProgress(carried, [*progressed.digests, sha256_file(video)], [*progressed.statistics, statistics])
        self._write(after)
        return after

    def clear(self) -> None:
        """Delete the folder, when the clip is complete or another one starts."""
        shutil.rmtree(self.folder)

    def _video(self, number: int) -> Path:
        return self.folder / f"chunk-{number:05d}.mp4"

    def _is_whole(self, number: int, digest: str) -> bool:
        return self._video(number).is_file() and sha256_file(self._video(number)) == digest

    def _write(self, progressed: ClipProgress) -> None:
        from safetensors.torch import save

        carried = progressed.carried
        tensors = {"noise_state": carried.noise_state, "anchor": carried.anchor, "tail": carried.tail}
        record = {
            "fingerprint": self.fingerprint,
            "digests": json.dumps(progressed.digests),
            "statistics": json.dumps([asdict(each) for each in progressed.statistics]),
        }
        with atomic_path(self.folder / STATE) as part:
            present = {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}
            part.write_bytes(save(present, record))  # save_file does not raise OSError for a full disk

    def _read(self) -> ClipProgress | None:
        if not (self.folder / STATE).is_file():
            return None
        try:
            with opened_safetensors(self.folder / STATE, "remove it") as file:
                record = file.metadata() or {}
                tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if record["fingerprint"] != self.fingerprint:
                return None
            statistics = [
                ChunkStatistics(tuple(each["mean"]), tuple(each["deviation"]), each["sharpness"])
                for each in parse_json(record["statistics"])
            ]
            return ClipProgress(Carried(**tensors), parse_json(record["digests"]), statistics)
        except (InputError, KeyError, ValueError, TypeError):
            return None  # damaged by something else: draw the clip again from the start
