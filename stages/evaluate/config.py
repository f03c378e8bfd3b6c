"""Settings of `emosh evaluate` and `emosh evaluate study`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stages.errors import InputError


@dataclass(frozen=True)
class EvaluateConfig:
    """How a result is compared with its truth; every setting here changes a figure."""

    protocol: str = "emosh"
    """How pictures are prepared and measured: "emosh", or "disco" to compare with old tables. The report lists its
    rules."""
    size: int = 512
    """Side in pixels of the square that protocol emosh compares at."""
    pairing: Literal["index", "time"] = "index"
    """"index": frame i of the result with frame i of the truth. "time": frames shown at the same time, for videos of
    different frame rates."""
    fit: Literal["same", "pad"] = "same"
    """"same": result and truth have the same aspect ratio. "pad": the method was given the truth padded with black to
    its own aspect ratio, so the result is cropped back (paper 0.B.4)."""
    stride: int = 1
    """With pairing "index": frame i of the result is compared with frame i * stride of the truth, for methods that skip
    frames."""
    lead_seconds: float = 0.0
    """With pairing "time": the result starts this many seconds after the truth, for example if a method drops its first
    frame."""
    fid: Literal["clean", "pytorch", "fidelity"] = "clean"
    """How a picture is resized for FID: as clean-fid, pytorch-fid or torch-fidelity do it. Protocol disco always uses
    pytorch."""
    fvd_frames: int = 16
    """Frames in one window for FVD, at least 10; a clip is cut into such windows from its start."""
    fvd_least_clips: int = 64
    """Fewest clips for which FVD is given; with fewer, its 400 features measure the number of clips, not their
    quality."""
    shape_frames: int = 8
    """Frames of a result whose body shape is measured, evenly spaced over the clip; 0: body shape is not measured."""

    def __post_init__(self) -> None:
        """Refuse a square smaller than the SSIM window, and windows shorter than the FVD network accepts."""
        if self.size < 11:
            raise ValueError(f"size is {self.size}, expected at least 11 pixels")
        if self.stride < 1:
            raise ValueError(f"stride is {self.stride}, expected at least 1")
        if self.fvd_frames < 10:
            raise ValueError(f"fvd_frames is {self.fvd_frames}, expected at least 10")
        if self.shape_frames < 0:
            raise ValueError(f"shape_frames is {self.shape_frames}, expected 0 or more")


@dataclass(frozen=True)
class StudyConfig:
    """What raters are asked, and how the page is made."""

    questions: tuple[str, ...] = (
        "Which follows the movement above better?",
        "Which looks more like the person in the photo above, in face and body?",
        "Which is the better video overall?",
    )
    """Questions for each pair of videos; raters answer every one with A, B or no difference."""
    height: int = 512
    """Largest height in pixels of the videos in the page; every video is copied by the same encoder."""
    embed: bool = True
    """true: the videos are stored inside the page. false: in a folder beside it, for studies too large for one file."""
    title: str = "Which video is better?"
    """Title of the page."""

    def __post_init__(self) -> None:
        """Refuse a page without questions, and heights that no browser can show."""
        if not self.questions or not all(text.strip() for text in self.questions):
            raise InputError("questions: give at least one, and none of them empty")
        if not 64 <= self.height <= 4320:
            raise InputError(f"height = {self.height}: choose 64 to 4320 pixels")
