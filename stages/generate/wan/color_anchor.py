"""Keep the colour of every chunk equal to that of the first.

Users' most common complaint about generation in segments is colour that drifts from one segment to the next. A chunk's
first frames show the same scene as the last frames of the chunk before. So a difference in mean and contrast between
them is an error of the chunk, not a change of the scene. Each channel of the whole chunk gets the gain and offset that
remove the difference. The next chunk starts from the corrected frames, so all chunks keep the colour of the first.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

MOST_GAIN = 1.25
"""Largest factor by which contrast is raised or lowered. A larger difference is not drift (chosen here)."""
LEAST_DEVIATION = 1e-3
"""A channel with a smaller deviation (range 2) is flat; its contrast is not matched."""


def match_colours(
    frames: Float[Tensor, "1 3 frames height width"], tail: Float[Tensor, "1 3 known height width"]
) -> Float[Tensor, "1 3 frames height width"]:
    """Correct a chunk's frames in [-1, 1]: its first frames get the mean and deviation of `tail` in each channel.

    Mean and deviation are matched, not pixels: noise makes a least-squares gain too small, and contrast would fall from
    chunk to chunk.
    """
    gain, offset = colour_correction(frames[:, :, : tail.shape[2]], tail)
    return (frames * gain + offset).clamp(-1, 1)


def colour_correction(
    shared: Float[Tensor, "1 3 known height width"], tail: Float[Tensor, "1 3 known height width"]
) -> tuple[Float[Tensor, "1 3 1 1 1"], Float[Tensor, "1 3 1 1 1"]]:
    """(gain, offset) of each channel that gives `shared` the mean and deviation of `tail`."""
    axes = (2, 3, 4)
    own, target = shared.std(axes, keepdim=True), tail.std(axes, keepdim=True)
    gain = (target / own.clamp(min=LEAST_DEVIATION)).clamp(1 / MOST_GAIN, MOST_GAIN)
    gain = gain.where((own > LEAST_DEVIATION) & (target > LEAST_DEVIATION), gain.new_ones(()))
    return gain, tail.mean(axes, keepdim=True) - gain * shared.mean(axes, keepdim=True)
