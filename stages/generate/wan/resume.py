"""What is kept of a clip while it is drawn, so that a run killed at any moment goes on from its last whole chunk.

A chunk's frames go into a lossless video of their own; then `state.safetensors` is replaced in one step. It holds how
many chunks are done, the sha256 of each one's frames, their statistics, and what the next chunk is given. Whatever
happens before that step is done anew, whatever happened after it is taken over: the result has the same bytes.
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
from stages.artifacts.provenance import sha256_file
from stages.generate.wan.draw import Carried
from stages.generate.wan.drift import ChunkStatistics

STATE = "state.safetensors"


@dataclass
class Progressed:
    """What is done so far, and what comes next is given."""

    carried: Carried
    digests: list[str] = field(default_factory=list)
    statistics: list[ChunkStatistics] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Number of whole chunks."""
        return len(self.digests)


class ChunkStore:
    """The folder of a clip that is being drawn, made with its first chunk. `fingerprint` is of all that decides its
    pixels."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = Path(folder), fingerprint

    def resumed(self, beginning: Carried) -> Progressed:
        """What an earlier run of the same clip left; nothing is taken over from another one."""
        found = self._read()
        if found is not None and all(self._is_whole(number, digest) for number, digest in enumerate(found.digests)):
            return found
        if self.folder.exists():
            self.clear()
        return Progressed(beginning)

    def frames(self, number: int) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """A done chunk's frames, one at a time."""
        from stages.video.source import read_frames

        for frame in read_frames(self._video(number)):
            yield frame.rgb

    def add(
        self,
        progressed: Progressed,
        frames: UInt8[np.ndarray, "frames height width 3"],
        statistics: ChunkStatistics,
        carried: Carried,
    ) -> Progressed:
        """Keep the next chunk. When this returns, a killed run goes on behind it."""
        from stages.video.sink import VideoSink

        self.folder.mkdir(parents=True, exist_ok=True)
        video = self._video(progressed.done)
        with VideoSink(video, frames.shape[2], frames.shape[1], Fraction(30), lossless=True) as sink:
            for frame in frames:
                sink.write(frame)
        after = Progressed(carried, [*progressed.digests, sha256_file(video)], [*progressed.statistics, statistics])
        self._write(after)
        return after

    def clear(self) -> None:
        """Remove the folder: the clip is whole, or another one begins."""
        shutil.rmtree(self.folder)

    def _video(self, number: int) -> Path:
        return self.folder / f"chunk-{number:05d}.mp4"

    def _is_whole(self, number: int, digest: str) -> bool:
        return self._video(number).is_file() and sha256_file(self._video(number)) == digest

    def _write(self, progressed: Progressed) -> None:
        from safetensors.torch import save

        carried = progressed.carried
        tensors = {"noise_state": carried.noise_state, "anchor": carried.anchor, "tail": carried.tail}
        record = {
            "fingerprint": self.fingerprint,
            "digests": json.dumps(progressed.digests),
            "statistics": json.dumps([asdict(each) for each in progressed.statistics]),
        }
        with atomic_path(self.folder / STATE) as part:
            given = {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}
            part.write_bytes(save(given, record))  # save_file would not say a full disk as an OSError

    def _read(self) -> Progressed | None:
        from safetensors import SafetensorError, safe_open

        if not (self.folder / STATE).is_file():
            return None
        try:
            with safe_open(self.folder / STATE, framework="pt") as file:
                record = file.metadata() or {}
                tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if record["fingerprint"] != self.fingerprint:
                return None
            statistics = [
                ChunkStatistics(tuple(each["mean"]), tuple(each["deviation"]), each["sharpness"])
                for each in json.loads(record["statistics"])
            ]
            return Progressed(Carried(**tensors), json.loads(record["digests"]), statistics)
        except (SafetensorError, KeyError, ValueError, TypeError):
            return None  # damaged from outside: the clip is begun anew
