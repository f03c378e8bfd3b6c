"""Decoded frames as upright RGB."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace, Interpolation

from stages.video.display import Upright


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p", "nv12", "gray", "bgr24"])
def test_the_way_by_planes_gives_the_pixels_of_rgb24(pixel_format: str) -> None:
    """Every pixel is as libswscale's own conversion to rgb24 makes it, for odd sizes too."""
    noise = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=pixel_format)
    how = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
    expected = frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU601, interpolation=how).to_ndarray()
    np.testing.assert_array_equal(Upright(frame, None).rgb(frame), expected)
