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
    stride: int = 1
    """Paired by index: frame i of the result with frame i * stride of the truth, for methods that skip frames."""
    lead_seconds: float = 0.0
    """Paired by time: the result starts this much later than the truth, as where a method drops its first frame."""
    fid: Literal["clean", "pytorch", "fidelity"] = "clean"
    """How a picture is resized for Inception: as clean-fid, pytorch-fid or torch-fidelity do. Protocol disco takes
    pytorch."""
    fvd_frames: int = 16
    """Frames of one clip for FVD, from its start; the networks need 10 or more."""
    fvd_least_clips: int = 64
    """FVD over fewer clips is refused: with 400 features it measures the number of clips, not their quality."""
    shape_frames: int = 8
    """Frames of a result whose body shape is measured, evenly over the clip; 0: shape is not measured."""

    def __post_init__(self) -> None:
        """Refuse a square smaller than the SSIM window, and clips shorter than the networks of FVD take."""
        if self.size < 11:
            raise ValueError(f"size is {self.size}, expected at least 11 pixels")
        if self.stride < 1:
            raise ValueError(f"stride is {self.stride}, expected at least 1")
        if self.fvd_frames < 10:
            raise ValueError(f"fvd_frames is {self.fvd_frames}, expected at least 10")
        if self.shape_frames < 0:
            raise ValueError(f"shape_frames is {self.shape_frames}, expected 0 or more")
