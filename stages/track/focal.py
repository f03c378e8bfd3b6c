"""The focal length of a clip: given, from a camera that turns (`stages.camera.focal`), from the file's metadata, or
estimated together with the person.

A wrong focal length stretches or flattens what is near: a hand in front of a webcam looks large, and the fit reaches
the arm forward to explain it. So a short fit of some frames is repeated with several focal lengths, and the losses of
body and hand keypoints are compared. The face is left out: its loss prefers wrong lengths (notes/real_truth). So there
is no expression in these fits. Fitted too it took a quarter more time, and the focal lengths of 13 clips and a photo
differed by 0.5 % in the median, 2.8 at most. With the rigid points of the face alone the body of desk cam2 was 6 %
farther off. Hands of a person who is far are left out too (`terms_at`). Errors of one clip are alike from frame to
frame, those of a hand the most, so the mean loss of a frame counts like that of few frames, beside a prior on the
logarithm of the focal length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from stages.track.config import TrackConfig
from stages.track.terms import IN_FRONT
from stages.track.threads import on_all_cores

RATIOS = (0.42, 0.52, 0.64, 0.79, 0.97, 1.2, 1.48, 1.83)
"""Focal lengths that are tried, in diagonals of the picture: 100 to 31 degrees across the diagonal."""
USUAL_RATIO, SIGMA_LOG = 0.75, 0.4
"""Prior: the middle of phones (24 to 30 mm of 35 mm film: 0.55 to 0.7), webcams (60 to 90 degrees across: 0.44 to 0.75)
and film (35 to 85 mm: 0.8 to 2.0), and its spread."""
FRAMES = 12
"""Frames, spread over the clip, that are fitted."""
BODY, HANDS = "keypoints_body", "keypoints_hands"
FRAMES_OF_EVIDENCE = {BODY: 4.0, HANDS: 1.0}
"""The mean loss of a frame counts like that of this many frames. With 2 and 2 the focal lengths of four real
clips were 22 % off in the mean and those of seven rendered ones 9, with 4 and 1 they are 11 and 9; ten of synthetic
keypoints, 0.44 to 1.4 diagonals, keep 17."""
LEAST_EVIDENCE = 1.0
"""Difference of loss between the focal lengths below which nothing was measured and the usual length is assumed."""
SHORT_FIT = {"rigid_iterations": 4, "joint_iterations": 8, "solver": "gn", "terms_off": (IN_FRONT,)}
FAR_SPAN_M = 3.3
"""Where the picture's diagonal spans more than this at the person, hands are left out: perspective changes them less
than the errors of their few pixels. Of five clips with known focal lengths of people seen whole (beam, rendered
walkers; 4.4 to 9.5 m) the hands put it 2 to 47 % too long or 28 % too short; half figures span 0.7 to 2.8 m."""


@dataclass(frozen=True)
class Focal:
    """A focal length in pixels and where it comes from: given, the camera's turn, metadata, estimated or assumed."""

    px: float
    source: str

    def degrees_across(self, width: int) -> float:
        """Horizontal field of view of a picture of this width."""
        return float(np.degrees(2 * np.arctan(width / 2 / self.px)))


def known_focal(size: tuple[int, int], config: TrackConfig, metadata_px: float | None) -> Focal | None:
    """The focal length of the settings, else that of the file's metadata, else None."""
    if config.focal_px > 0:
        return Focal(config.focal_px, "given")
    if config.fov_degrees > 0:
        return Focal(size[0] / 2 / float(np.tan(np.radians(config.fov_degrees) / 2)), "given")
    return None if metadata_px is None else Focal(metadata_px, "metadata")


def usual_focal(size: tuple[int, int]) -> Focal:
    """The focal length of a usual camera."""
    return Focal(USUAL_RATIO * float(np.hypot(*size)), "assumed")


def estimated_focal(size: tuple[int, int], frames: int, losses_at: Callable[[float], dict[str, float]]) -> Focal:
    """The focal length of a clip or photo of this size. `losses_at` fits `frames` frames with a focal length in pixels
    and returns the mean per frame of the terms that count, see `terms_at`; it is called in several threads."""
    diagonal = float(np.hypot(*size))
    losses = on_all_cores(losses_at, [ratio * diagonal for ratio in RATIOS])
    weights = FRAMES_OF_EVIDENCE if frames > 1 else dict.fromkeys(FRAMES_OF_EVIDENCE, 1.0)
    measured = np.array([sum(weights[term] * loss for term, loss in each.items()) for each in losses])
    source = "estimated" if np.ptp(measured) > LEAST_EVIDENCE else "assumed"
    return Focal(posterior_ratio(measured) * diagonal, source)


def terms_at(span_m: float) -> tuple[str, ...]:
    """The terms that tell the focal length where the picture's diagonal spans `span_m` at the person."""
    return (BODY,) if span_m > FAR_SPAN_M else (BODY, HANDS)


def posterior_ratio(losses: Float[np.ndarray, "ratios"]) -> float:
    """Mean of the logarithm over RATIOS, weighted by exp(-loss / 2) and by the prior."""
    logarithms = np.log(RATIOS)
    cost = losses - losses.min() + ((logarithms - np.log(USUAL_RATIO)) / SIGMA_LOG) ** 2
    weights = np.exp(-cost / 2)
    return float(np.exp((weights * logarithms).sum() / weights.sum()))


def spread_frames(rows: Int[np.ndarray, "chosen"]) -> Int[np.ndarray, "some"]:
    """At most FRAMES of the rows, evenly spread."""
    if len(rows) <= FRAMES:
        return rows
    return rows[np.unique(np.linspace(0, len(rows) - 1, FRAMES).round().astype(int))]
