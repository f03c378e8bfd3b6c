"""Every number of curation: how videos are cut, and what a clip must show.

The paper (0.B) says which filters it used and no thresholds: the figures here are chosen on the nine clips of the dev
set, looked at one by one, and are in the summary page to be chosen again for other footage.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError

THRESHOLDS = (
    "min_side_px", "min_fps", "min_body_share", "min_face_share", "min_face_scale", "min_hand_share", "min_movement",
    "max_people", "max_letters",
)  # fmt: skip
"""Settings that judge what was measured: another value needs no new measuring."""


@dataclass(frozen=True)
class CurateConfig:
    """Frozen settings of one curation."""

    min_frames: int = 77
    """Shortest clip: the paper trains on 77 frames (4.1). The rest of a shot that is shorter is left out."""
    max_frames: int = 154
    """Longest clip: two training windows, each of which finds its reference in the other, and short enough for the
    tracker to solve as a whole. Chosen here."""
    cut_score: float = 10.0
    """A new shot begins where FFmpeg's scdet gives a frame at least this; its own default. `benchmarks.curate_shots`:
    of 39 cuts between the dev clips 37 are found, two jumps within a shot missed; the highest inside a shot is 2.3."""
    trim_frames: int = 2
    """Frames left out on either side of a cut, where the two shots may be mixed. Chosen here."""
    lossless: bool = False
    """Keep the clips' pixels bit for bit, at 16 times the size (d1, d5); else H.264 at crf 12, 43 dB and more on
    the dev clips d1, d2 and d5."""

    min_side_px: int = 256
    """Shorter side of the picture: half of what the paper trains on (512). Chosen here."""
    min_fps: float = 12.0
    """Frames a second: slower ones jump where the model has to learn to move. Chosen here."""
    min_body_share: float = 0.95
    """Share of the frames in which the person is there. Chosen here."""
    min_face_share: float = 0.9
    """Share of the frames with a face turned less than 60 degrees away. The paper's filter, the value chosen here."""
    min_face_scale: float = 0.05
    """Height of the face over the picture's longer side, the clip's median: 26 pixels of 512. The paper's filter, the
    value chosen here."""
    min_hand_share: float = 0.5
    """Share of the frames with at least one hand. The paper's filter, the value chosen here."""
    min_movement: float = 0.06
    """How far head, shoulders, elbows or wrists, whichever move most, stray from their mean place in the picture (root
    mean square), in shoulder widths. The paper's filter of static subjects, the value chosen here: photos held still
    under noise reach .02, turning heads (d3) .08, gestures (d5) .2 and more."""
    max_people: int = 1
    """Most people in the picture. The paper's filter."""
    max_letters: int = 4
    """Most letters in a row that stay where they are, as subtitles and watermarks do. `benchmarks.curate_text`; chosen
    here."""

    def __post_init__(self) -> None:
        """Refuse what cannot be met. Raises InputError."""
        if not 1 <= self.min_frames <= self.max_frames:
            raise InputError(f"min_frames {self.min_frames} and max_frames {self.max_frames}: need 1 <= min <= max")
        if self.cut_score <= 0 or self.trim_frames < 0:
            raise InputError("cut_score must be above 0 and trim_frames at least 0")
        for name in ("min_body_share", "min_face_share", "min_hand_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1")
        for name in ("min_side_px", "min_fps", "min_face_scale", "min_movement", "max_people", "max_letters"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 0")
