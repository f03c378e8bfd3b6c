"""Every number of curation: how videos are cut, and what a clip must show.

The paper (4.1) names four filters (face found, face large enough, hands visible, not static) but no thresholds. The
thresholds here were chosen on the nine clips of the dev set, one by one. The summary page shows them with histograms,
so that other values can be chosen for other footage.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError

THRESHOLDS = (
    "min_side_px", "min_fps", "min_body_share", "min_face_share", "min_face_scale", "min_hand_share", "min_movement",
    "max_people", "max_letters",
)  # fmt: skip
"""Settings that are applied to what was measured: another value needs no new measurement."""


@dataclass(frozen=True)
class CurateConfig:
    """How videos are cut into clips, and the thresholds that a clip must meet."""

    min_frames: int = 77
    """Shortest clip in frames; the paper trains on 77 frames (4.1). Shorter shots and shorter remainders are left
    out."""
    max_frames: int = 154
    """Longest clip in frames; a longer shot is cut into several clips. 154 is two training windows, so that each can
    take its reference from the other, and it is short enough to be tracked at once. Chosen here."""
    cut_score: float = 10.0
    """A new shot begins at a frame with at least this score from FFmpeg's scdet (0 to 100); 10 is scdet's default. On
    the dev clips it finds 37 of 39 cuts and misses two jumps within a shot; inside shots the highest score is 2.3
    (`benchmarks.curate_shots`)."""
    trim_frames: int = 2
    """Frames left out on each side of a cut, where the two shots may be blended. Chosen here."""
    lossless: bool = False
    """true: clips keep every pixel exactly, in files 16 times as large. false: H.264 at crf 12, which differs by 43 dB
    PSNR or better (measured on the dev clips d1, d2 and d5)."""

    min_side_px: int = 256
    """Least length of the picture's shorter side in pixels; half of the 512 that the paper trains on. Chosen here."""
    min_fps: float = 12.0
    """Least frames per second; at lower rates the movement is too jumpy to learn from. Chosen here."""
    min_body_share: float = 0.95
    """Least share of the frames that must show the person. Chosen here."""
    min_face_share: float = 0.9
    """Least share of the frames that must show a face turned less than 60 degrees away from the camera. The filter is
    the paper's, the value was chosen here."""
    min_face_scale: float = 0.05
    """Least height of the face over the picture's longer side (median of the clip); 0.05 is 26 of 512 pixels. The
    filter is the paper's, the value was chosen here."""
    min_hand_share: float = 0.5
    """Least share of the frames that must show at least one hand. The filter is the paper's, the value was chosen
    here."""
    min_movement: float = 0.06
    """Least movement: how far the head, shoulder, elbow or wrist that moves most is from its mean position in the
    picture (root mean square), in shoulder widths. Still photos with noise reach 0.02, a turning head (d3) 0.08,
    gestures (d5) 0.2 and more. The filter (static subjects) is the paper's, the value was chosen here."""
    max_people: int = 1
    """Most people in the picture. Chosen here: the paper names no such filter."""
    max_letters: int = 4
    """Most letters in a row that stay in place, as in subtitles and watermarks. Measured by `benchmarks.curate_text`;
    chosen here."""

    def __post_init__(self) -> None:
        """Refuse values that no clip can meet. Raises InputError."""
        if not 1 <= self.min_frames <= self.max_frames:
            raise InputError(
                f"min_frames is {self.min_frames} and max_frames {self.max_frames}, expected 1 <= min <= max"
            )
        if self.cut_score <= 0 or self.trim_frames < 0:
            raise InputError(
                f"cut_score is {self.cut_score} and trim_frames {self.trim_frames}, expected above 0 and at least 0"
            )
        for name in ("min_body_share", "min_face_share", "min_hand_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1")
        for name in ("min_side_px", "min_fps", "min_face_scale", "min_movement", "max_people", "max_letters"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 0")
