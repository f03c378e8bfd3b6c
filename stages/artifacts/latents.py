"""latents.safetensors: the encoded photo and condition map of a clip, the input of the diffusion model.

`generate` turns it into a video, and so does the validation of a training run. Latents are those of Wan2.1's VAE,
normalised per channel, float32. The motion of each chunk is encoded separately from its first frame on, because the VAE
is causal. Chunk k begins at frame k x (chunk_frames - overlap_frames); the last chunk is filled by playing the clip
backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float

from stages.artifacts.limits import LONG_SECONDS, MAX_FPS, MAX_SIDE_PX
from stages.artifacts.provenance import Provenance
from stages.artifacts.schema import Field, Schema
from stages.artifacts.streamed_safetensors import Declared, StreamedReader
from stages.errors import InputError

LATENTS = Schema(
    "latents",
    1,
    (
        Field("image_embeds", "image_tokens image_dim", "float", "CLIP tokens of the photo", finite=False),
        Field("prompt_embeds", "text text_dim", "float", "UMT5 tokens of the prompt, zeros behind it", finite=False),
        Field(
            "negative_prompt_embeds", "text text_dim", "float", "the same of what to avoid, for guidance",
            required=False, finite=False,
        ),
        Field("reference_latents", "16 1 latent_height latent_width", "float", "the photo", finite=False),
        Field(
            "grey_latents", "16 latent_frames latent_height latent_width", "float",
            "an all-grey chunk: what the first one knows of its frames", finite=False,
        ),
        Field(
            "motion_latents", "chunks 16 latent_frames latent_height latent_width", "float",
            "the condition map, chunk by chunk", finite=False,
        ),
        Field(
            "face_motion", "frames face_features", "float",
            "Wan-Animate's numbers of the face in each frame", required=False, finite=False,
        ),
        Field(
            "blank_face_motion", "1 face_features", "float", "the same of no face, for guidance",
            required=False, finite=False,
        ),
        Field("pts_seconds", "frames", "float", "time of each frame after the first", finite=False),
        Field(
            "background", "frames height width 3", "int",
            "replacement: the driving video, RGB, black where the mask is 1", required=False,
        ),
        Field(
            "replace_mask", "frames latent_height latent_width", "int",
            "replacement: 1 where the new person is drawn, 0 where the background is kept", required=False,
        ),
    ),
)  # fmt: skip
"""Schema of the file. Values are checked when they are read, one chunk at a time."""


@dataclass(frozen=True)
class LatentsHeader:
    """Properties of a clip other than its tensors. `layout` is the version of the slot layout it was made for."""

    width: int
    height: int
    frames: int
    chunk_frames: int
    overlap_frames: int
    fps: Fraction
    duration_seconds: float
    layout: int
    provenance: Provenance

    def to_metadata(self) -> dict[str, str]:
        """The header as the text metadata of the file."""
        plain = {
            name: str(getattr(self, name)) for name in self.__dataclass_fields__ if name not in ("layout", "provenance")
        }
        return {
            "emosh_kind": LATENTS.kind,
            "emosh_schema": str(LATENTS.version),
            "emosh_layout": str(self.layout),
            **plain,
            "emosh_provenance": self.provenance.to_json(),
        }


class Latents:
    """An open latents file: its header in memory, its tensors read on demand."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for another kind of file, another version, or a damaged file."""
        self.path = Path(path)
        self._file = StreamedReader(self.path)
        metadata = self._file.metadata
        kind = metadata.get("emosh_kind")
        if kind != LATENTS.kind:
            what = f"a {kind} file" if kind else "a safetensors file that emosh did not write"
            raise InputError(f"{path} is {what}, expected latents; make them with: emosh encode")
        if metadata.get("emosh_schema") != str(LATENTS.version):
            found = metadata.get("emosh_schema")
            raise InputError(f"{path} has latents schema {found}, expected {LATENTS.version}; encode again")
        self.sizes = LATENTS.check_shapes(self._file.placeholders(), str(path))
        self.header = _header(path, metadata)
        if self.sizes["frames"] != self.header.frames:
            raise InputError(
                f"{path}: it has {self.sizes['frames']} frame times for {self.header.frames} frames; encode again"
            )
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Raises InputError if the tensors do not have the picture size and chunk length of the header."""
        header, sizes = self.header, self.sizes
        for axis, expected in (
            ("width", header.width),
            ("height", header.height),
            ("latent_width", header.width / 8),
            ("latent_height", header.height / 8),
            ("latent_frames", (header.chunk_frames - 1) / 4 + 1),
        ):
            if sizes.get(axis, expected) != expected:
                raise InputError(
                    f"{self.path}: its {axis} is {sizes[axis]}, by its header {expected:g} "
                    f"({header.width}x{header.height}, chunks of {header.chunk_frames}); encode again"
                )
        if self.has("background") != self.has("replace_mask"):
            raise InputError(f"{self.path} has only one of background and replace_mask; encode again")
        for what, value, right in (
            ("frames per second", header.fps, 0 < header.fps < MAX_FPS),
            ("frames", header.frames, header.frames > 0),
            ("pixels as its longer side", max(header.width, header.height), header.width <= MAX_SIDE_PX
             and header.height <= MAX_SIDE_PX),
            ("frames that chunks share", header.overlap_frames, 0 <= header.overlap_frames < header.chunk_frames),
            ("seconds", header.duration_seconds, 0 <= header.duration_seconds <= LONG_SECONDS),
        ):  # fmt: skip
            if not right:
                raise InputError(f"{self.path}: its header says {value} {what}; encode again")

    def check_values(self) -> None:
        """Read the whole file once, one chunk at a time; pictures of a background can hold any value.

        Raises InputError for values that are not finite, for times that do not rise or are of no clip, and for masks of
        other values than 0 and 1.
        """
        for name in self._file.declared:
            if name not in ("motion_latents", "background", "replace_mask"):
                self.read(name)
        if self.has("replace_mask"):
            for frame in range(self.header.frames):
                if self._file.read("replace_mask", frame).max() > 1:
                    raise InputError(f"{self.path}: replace_mask is not 0 or 1 at frame {frame}; encode again")
        for chunk in range(self.sizes["chunks"]):
            self.motion(chunk)
        times = self.read("pts_seconds")
        if not (times[0] >= 0 and times[-1] <= LONG_SECONDS):
            raise InputError(f"{self.path}: a frame is at {times[-1]:g} s; encode again")
        bad = np.flatnonzero(np.diff(times) <= 0)
        if len(bad):
            raise InputError(f"{self.path}: frame {bad[0] + 1} is not later than the frame before; encode again")

    def has(self, name: str) -> bool:
        """Whether the file has this (optional) tensor."""
        return name in self._file.declared

    @property
    def has_face(self) -> bool:
        """Whether the clip has the face that Wan-Animate's skeleton needs."""
        return self.has("face_motion")

    def read(self, name: str) -> np.ndarray:
        """One tensor. Raises InputError for values that are not finite."""
        return self._file.read(name)

    @property
    def drawing(self) -> str:
        """What the condition map shows; maps of versions before there were several show the mesh."""
        return str(self.header.provenance.notes.get("drawing", "mesh"))

    def motion(self, chunk: int) -> Float[np.ndarray, "16 latent_frames latent_height latent_width"]:
        """The motion latents of one chunk; other chunks are not read."""
        return self._file.read("motion_latents", chunk)

    def frames(self, name: str, rows: list[int]) -> np.ndarray:
        """Those frames of `face_motion`, `background` or `replace_mask`; others are not read."""
        return np.stack([self._file.read(name, row) for row in rows])


def declare_latents(
    header: LatentsHeader,
    chunks: int,
    image: tuple[int, int],
    text: tuple[int, int],
    negative: bool = False,
    face_features: int = 0,
    background: bool = False,
) -> dict[str, Declared]:
    """Declare every tensor of a new file, in its order. `image` and `text` are (tokens, channels).

    `negative`: with a negative prompt. `face_features`: numbers per face, 0 for a clip without faces. `background`:
    with a background to keep.
    """
    plane = header.height // 8, header.width // 8
    span = (header.chunk_frames - 1) // 4 + 1
    tensors = {
        "image_embeds": Declared("F32", image),
        "prompt_embeds": Declared("F32", text),
        "negative_prompt_embeds": Declared("F32", text),
        "reference_latents": Declared("F32", (16, 1, *plane)),
        "grey_latents": Declared("F32", (16, span, *plane)),
        "motion_latents": Declared("F32", (chunks, 16, span, *plane)),
        "face_motion": Declared("F32", (header.frames, face_features)),
        "blank_face_motion": Declared("F32", (1, face_features)),
        "pts_seconds": Declared("F64", (header.frames,)),
        "background": Declared("U8", (header.frames, header.height, header.width, 3)),
        "replace_mask": Declared("U8", (header.frames, *plane)),
    }
    left_out = [] if negative else ["negative_prompt_embeds"]
    left_out += [] if face_features else ["face_motion", "blank_face_motion"]
    left_out += [] if background else ["background", "replace_mask"]
    return {name: each for name, each in tensors.items() if name not in left_out}


def _header(path: Path, metadata: dict[str, str]) -> LatentsHeader:
    try:
        return LatentsHeader(
            width=int(metadata["width"]),
            height=int(metadata["height"]),
            frames=int(metadata["frames"]),
            chunk_frames=int(metadata["chunk_frames"]),
            overlap_frames=int(metadata["overlap_frames"]),
            fps=Fraction(metadata["fps"]),
            duration_seconds=float(metadata["duration_seconds"]),
            layout=int(metadata["emosh_layout"]),
            provenance=Provenance.from_json(metadata["emosh_provenance"]),
        )
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise InputError(f"{path}: its header is damaged ({error}); encode again") from error
