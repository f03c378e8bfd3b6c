"""The training cache: a folder of encoded clips with all input of training, which then needs no VAE, CLIP or T5.

Each `clip-*.safetensors` holds one clip: windows of `chunk_frames` frames, and reference candidates from the whole
clip. One file per clip means that a changed clip or a killed writer affects one clip only. `common.safetensors` holds
what all clips share. `index.json` is written last and lists the clips of a complete cache. Latents are those of
Wan2.1's VAE, normalised per channel, as in latents.safetensors.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.atomic import atomic_path
from stages.artifacts.limits import MAX_FRAMES, MAX_SIDE_PX
from stages.artifacts.names import checked_name
from stages.artifacts.provenance import Provenance
from stages.artifacts.records import record_of
from stages.artifacts.schema import Field, Schema
from stages.artifacts.streamed_safetensors import Declared, StreamedReader
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError

PLANE = "latent_height latent_width"
CLIP = Schema(
    "training-clip",
    1,
    (
        Field("clip_latents", f"windows 16 latent_frames {PLANE}", "float", "the video by windows", finite=False),
        Field("motion_latents", f"windows 16 latent_frames {PLANE}", "float", "its condition map", finite=False),
        Field(
            "known_latents", f"windows 16 latent_frames {PLANE}", "float",
            "the window's first overlap_frames frames and grey behind them: what a later chunk knows", finite=False,
        ),
        Field(
            "reference_latents", f"candidates 2 16 1 {PLANE}", "float",
            "frames of the whole clip, each alone: as it is, and a little turned, shifted and cropped", finite=False,
        ),
        Field("image_embeds", "candidates 2 image_tokens image_dim", "float", "CLIP tokens of the same", finite=False),
        Field("window_starts", "windows", "int", "first frame of each window"),
        Field("reference_frames", "candidates", "int", "frame that each candidate is"),
    ),
)  # fmt: skip
COMMON = Schema(
    "training-common",
    1,
    (
        Field("prompt_embeds", "text text_dim", "float", "UMT5 tokens of the prompt, zeros behind it", finite=False),
        Field("grey_latents", f"16 latent_frames {PLANE}", "float", "an all-grey window", finite=False),
    ),
)
INDEX, AGAIN = "index.json", "emosh encode --manifest"
COMMON_FILE = "common.safetensors"
OPEN_FILES = 4096
"""Largest number of clip files that are open at once."""


@dataclass(frozen=True)
class CacheIndex:
    """The content of index.json. `clips` are (file, windows); `skipped` counts clips that could not be encoded."""

    width: int
    height: int
    chunk_frames: int
    overlap_frames: int
    layout: int
    clips: tuple[tuple[str, int], ...]
    skipped: int
    fingerprint: str
    drawing: str = "hybrid-1"
    """Version of the drawing of its condition maps. Caches of versions before there were several show the mesh."""

    def __post_init__(self) -> None:
        """Raises ValueError for values that no cache has."""
        for name, side in (("width", self.width), ("height", self.height)):
            if not 0 < side <= MAX_SIDE_PX or side % 8:
                raise ValueError(f"'{name}' is {side}, expected a multiple of 8 up to {MAX_SIDE_PX}")
        if not 0 <= self.overlap_frames < self.chunk_frames <= MAX_FRAMES:
            raise ValueError(f"chunks of {self.chunk_frames} frames cannot share {self.overlap_frames}")
        if self.skipped < 0 or not all(0 < windows <= MAX_FRAMES for _, windows in self.clips):
            raise ValueError("a clip has 1 window or more, and 0 or more were skipped")

    @property
    def bytes_per_window(self) -> int:
        """Least bytes of a window in a clip's file: its latents, its map's, and what it knows, as float16."""
        return 3 * 2 * 16 * ((self.chunk_frames - 1) // 4 + 1) * (self.height // 8) * (self.width // 8)

    def write(self, folder: Path) -> None:
        """Write index.json into the cache folder."""
        with atomic_path(Path(folder) / INDEX) as part:
            part.write_text(json.dumps({"emosh_kind": "training-cache", **asdict(self)}, indent=1), encoding="utf-8")


class TrainingCache:
    """An open cache. The windows of all clips are numbered consecutively."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError for a folder that is not a complete cache."""
        self.folder = Path(folder)
        self.index = _read_index(self.folder)
        self._window_files = [(file, window) for file, count in self.index.clips for window in range(count)]
        self._window_counts = dict(self.index.clips)
        common = StreamedReader(self.folder / COMMON_FILE)
        COMMON.check_shapes(common.placeholders(), str(common.path))
        self._check_shape(common, "grey_latents", ())
        self.prompt_embeds: Float[np.ndarray, "text text_dim"] = common.read("prompt_embeds")
        self.grey_latents: Float[np.ndarray, "16 t h w"] = common.read("grey_latents")
        self._opened = lru_cache(OPEN_FILES)(self._open)

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._window_files)

    def window(self, number: int) -> CachedWindow:
        """One window; only the header of its clip is read. Raises InputError for a damaged file."""
        file, window = self._window_files[number]
        return CachedWindow(self._opened(file), window)

    def _open(self, file: str) -> StreamedReader:
        reader = StreamedReader(self.folder / file)
        CLIP.check_shapes(reader.placeholders(), str(reader.path))
        self._check_shape(reader, "clip_latents", (self._window_counts[file],))
        for name in ("window_starts", "reference_frames"):
            frames = reader.read(name)
            if not len(frames) or frames.min() < 0 or frames.max() > MAX_FRAMES:
                raise InputError(f"{reader.path}: {name} holds no frame numbers; finish it with: {AGAIN}")
        return reader

    def _check_shape(self, file: StreamedReader, name: str, rows: tuple[int, ...]) -> None:
        """Raises InputError if the size or number of windows differs from the index."""
        index, found = self.index, file.declared[name].shape
        expected = (*rows, 16, (index.chunk_frames - 1) // 4 + 1, index.height // 8, index.width // 8)
        if found != expected:
            shapes = f"{_shape_text(found)}, by {INDEX} {_shape_text(expected)}"
            raise InputError(f"{file.path}: {name} is {shapes}; finish it with: {AGAIN}")


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


class CachedWindow:
    """The tensors of one window, read on demand."""

    def __init__(self, file: StreamedReader, window: int) -> None:
        self.path = file.path
        self._file, self._window = file, window
        self.start = int(file.read("window_starts")[window])
        self.reference_frames: Int[np.ndarray, "candidates"] = file.read("reference_frames")

    def read(self, name: str) -> Float[np.ndarray, "16 t h w"]:
        """`clip_latents`, `motion_latents` or `known_latents`. Raises InputError for values that are not finite."""
        return self._file.read(name, self._window)

    def reference(self, candidate: int, moved: bool) -> Float[np.ndarray, "16 1 h w"]:
        """Latents of a reference candidate; `moved`: turned, shifted and cropped a little."""
        return self._file.read("reference_latents", candidate)[int(moved)]

    @property
    def image_tokens(self) -> tuple[int, int]:
        """Number and length of the CLIP tokens of a candidate; zeros for a model without CLIP."""
        return self._file.declared["image_embeds"].shape[2:]  # type: ignore[return-value]

    def image_embeds(self, candidate: int, moved: bool) -> Float[np.ndarray, "image_tokens image_dim"]:
        """CLIP tokens of a reference candidate; `moved` as in `reference`."""
        return self._file.read("image_embeds", candidate)[int(moved)]


def declare_clip(
    windows: int, candidates: int, plane: tuple[int, int], span: int, image: tuple[int, int], dtype: str
) -> dict[str, Declared]:
    """All tensors of a clip file, in file order. `span`: latent frames per window. `dtype`: F16 or F32."""
    latents = Declared(dtype, (windows, 16, span, *plane))
    return {
        "window_starts": Declared("I64", (windows,)),
        "reference_frames": Declared("I64", (candidates,)),
        "clip_latents": latents,
        "motion_latents": latents,
        "known_latents": latents,
        "reference_latents": Declared(dtype, (candidates, 2, 16, 1, *plane)),
        "image_embeds": Declared(dtype, (candidates, 2, *image)),
    }


def is_encoded_clip(path: Path, fingerprint: str) -> bool:
    """Whether the file is a complete clip with this fingerprint."""
    if not path.is_file():
        return False
    try:
        reader = StreamedReader(path)
        record = Provenance.from_json(reader.metadata.get("emosh_provenance", ""))
    except (InputError, ValueError):
        return False
    return record.fingerprint() == fingerprint


def count_windows(path: Path) -> int:
    """Number of windows in a clip file."""
    return StreamedReader(path).declared["window_starts"].shape[0]


def cache_metadata(schema: Schema, provenance: Provenance, **plain: Any) -> dict[str, str]:
    """Text metadata of a clip file or the common file."""
    fields = {name: str(value) for name, value in plain.items()}
    return {
        "emosh_kind": schema.kind,
        "emosh_schema": str(schema.version),
        **fields,
        "emosh_provenance": provenance.to_json(),
    }


def _read_index(folder: Path) -> CacheIndex:
    path = folder / INDEX
    if not path.is_file():
        raise InputError(f"{folder} is not a complete training cache; make or finish it with: {AGAIN}")
    values = read_json_object(path, f"make it again with: {AGAIN}")
    try:
        if values.pop("emosh_kind") != "training-cache":
            raise ValueError("another kind of file")
        index = record_of(CacheIndex, values)
    except (ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); make it again with: {AGAIN}") from error
    if not index.clips:
        raise InputError(f"{folder} holds no clip; encode a manifest with usable clips")
    for file in (COMMON_FILE, *(checked_name(file, str(path)) for file, _ in index.clips)):
        if not (folder / file).is_file():
            raise InputError(f"{folder} lacks {file}; finish it with: {AGAIN}")
    for file, windows in index.clips:
        if windows * index.bytes_per_window > (size := (folder / file).stat().st_size):
            raise InputError(
                f"{path} says that {file} holds {windows} windows, more than its {size} bytes can; make it again with: "
                f"{AGAIN}"
            )
    return index
