"""Settings of a training cache. Chunk length, overlap and prompt are settings of encoding."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError


@dataclass(frozen=True)
class CacheConfig:
    """How clips become training data (paper 3.4, 4.1)."""

    reference_candidates: int = 8
    """Number of frames per clip, spread evenly over it, that training can use as the reference photo."""
    reference_degrees: float = 5.0
    """Largest rotation of an augmented reference, in degrees. Chosen here; the paper (0.B.3) says
    "slight"."""
    reference_shift: float = 0.05
    """Largest shift of an augmented reference, as a share of the picture's width and height."""
    reference_crop: float = 0.1
    """Largest crop of an augmented reference, as a share of the picture's side. The rest is enlarged to fill the
    picture."""
    window_stride: int = 77
    """Frames between the starts of two training windows of a clip. A window has encode.chunk_frames frames."""
    cache_dtype: str = "float16"
    """Number type of latents and embeddings on disk: float16, or float32 at twice the size."""
    seed: int = 0
    """Seed of the random rotations, shifts and crops of the references."""

    def __post_init__(self) -> None:
        """Raises InputError for values outside their range."""
        if self.reference_candidates < 1 or self.window_stride < 1:
            raise InputError("reference_candidates and window_stride must be at least 1")
        if self.cache_dtype not in ("float16", "float32"):
            raise InputError(f"cache_dtype is {self.cache_dtype!r}, expected float16 or float32")
        if not 0 <= self.reference_crop < 1 or not 0 <= self.reference_shift < 1:
            raise InputError("reference_crop and reference_shift are shares of the picture's side, from 0 to below 1")
