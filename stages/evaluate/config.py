"""Settings of `emosh evaluate`: what changes a figure, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EvaluateConfig:
    """How pictures are compared."""

    protocol: str = "emosh"
    """The recipe by name: emosh or disco; its rules are written into the report."""
    size: int = 512
    """Side of the square that protocol emosh compares at, pixels."""
    pairing: Literal["index", "time"] = "index"
    """"index": frame i with frame i. "time": by timestamps, for videos of different rates."""
    fit: Literal["same", "pad"] = "same"
    """"same": result and truth have one shape. "pad": the method was fed the truth padded to its own shape; the result
    is cropped back (0.B.4)."""
    shape_frames: int = 8
    """Frames of a result whose body shape is measured, evenly over the clip."""

    def __post_init__(self) -> None:
        """Refuse a square smaller than the SSIM window, and no frames at all."""
        if self.size < 11:
            raise ValueError(f"size is {self.size}, expected at least 11 pixels")
        if self.shape_frames < 1:
            raise ValueError(f"shape_frames is {self.shape_frames}, expected at least 1")
