"""Colour held to the first chunk's: what a chunk changed in the frames that it shares with the one before is undone.

Users' commonest complaint about generation in segments is colour that drifts from one to the next. A chunk's first
frames show what the last frames of the chunk before show, so that whatever differs between them in mean and contrast
is the chunk's own doing and no change of the scene. Each channel gets the gain and offset that takes it back, on the
whole chunk; the next chunk is given the corrected frames, so that by induction all are held to the first.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

MOST_GAIN = 1.25
"""Contrast is changed by no more than this factor either way: a greater difference is no drift (chosen here)."""
LEAST_DEVIATION = 1e-3
"""A channel flatter than this, of a range of 2, has no contrast to match."""


def matched(
    frames: Float[Tensor, "1 3 frames height width"], tail: Float[Tensor, "1 3 known height width"]
) -> Float[Tensor, "1 3 frames height width"]:
    """A chunk's frames in [-1, 1] with mean and deviation of each channel in the shared ones as in `tail`.

    Moments are matched, not pixels: a least-squares gain would be too small by the noise between the two, and
    contrast would fall from chunk to chunk.
    """
    gain, offset = correction(frames[:, :, : tail.shape[2]], tail)
    return (frames * gain + offset).clamp(-1, 1)


def correction(
    shared: Float[Tensor, "1 3 known height width"], tail: Float[Tensor, "1 3 known height width"]
) -> tuple[Float[Tensor, "1 3 1 1 1"], Float[Tensor, "1 3 1 1 1"]]:
    """(gain, offset) of each channel that gives `shared` the mean and deviation of `tail`."""
    axes = (2, 3, 4)
    own, wanted = shared.std(axes, keepdim=True), tail.std(axes, keepdim=True)
    gain = (wanted / own.clamp(min=LEAST_DEVIATION)).clamp(1 / MOST_GAIN, MOST_GAIN)
    gain = gain.where((own > LEAST_DEVIATION) & (wanted > LEAST_DEVIATION), gain.new_ones(()))
    return gain, tail.mean(axes, keepdim=True) - gain * shared.mean(axes, keepdim=True)
