"""What a user may change about a training cache; chunk length, overlap and prompt are encoding's own."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError


@dataclass(frozen=True)
class CacheConfig:
    """How clips become training data (paper 3.4, 4.1)."""

    reference_candidates: int = 8
    """Frames of each clip, spread over all of it, that training may show as the reference."""
    reference_degrees: float = 5.0
    """A moved reference is turned by up to this much. Chosen here; the paper says small."""
    reference_shift: float = 0.05
    """... shifted by up to this share of its side."""
    reference_crop: float = 0.1
    """... and cropped by up to this share of its side, and shown larger again."""
    window_stride: int = 77
    """Frames from one window's start to the next one's."""
    cache_dtype: str = "float16"
    """Of latents and embeddings on disk: float16, or float32 at twice the size."""
    seed: int = 0
    """Of the candidates' movements."""

    def __post_init__(self) -> None:
        """Raises InputError for values that make no sense."""
        if self.reference_candidates < 1 or self.window_stride < 1:
            raise InputError("reference_candidates and window_stride must be at least 1")
        if self.cache_dtype not in ("float16", "float32"):
            raise InputError(f"cache_dtype is {self.cache_dtype!r}, expected float16 or float32")
        if not 0 <= self.reference_crop < 1 or not 0 <= self.reference_shift < 1:
            raise InputError("reference_crop and reference_shift are shares of the picture's side, from 0 to below 1")
