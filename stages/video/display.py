"""A decoded frame as a player shows it: colours, display matrix and pixel shape applied.

Colours: the matrix and range stated in the stream. If none is stated, BT.709 from 720 lines up and BT.601 below,
limited range, as players do. HDR (HLG, used by phones, and PQ) is mapped to BT.709 by libswscale.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

HD_LINES = 720
UNSPECIFIED_COLORSPACE = 2
HDR_TRANSFERS = (16, 18)
"""FFmpeg's numbers of SMPTE 2084 (PQ) and ARIB STD-B67 (HLG)."""


class Upright:
    """Turns the frames of one stream upright. Size and display matrix are read from the first frame.

    `pixel_ratio` is the width of a pixel divided by its height; None or 0 means not stated, and pixels are square.
    """

    def __init__(self, first: VideoFrame, pixel_ratio: Fraction | None) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._coded = (first.width, first.height)
        self._shown_width, self._shown_height = round(first.width * (pixel_ratio or 1)), first.height
        self._matrix = display_matrix(first)
        self._transposed = abs(self._matrix[0]) < abs(self._matrix[1])
        self.width, self.height = (
            (self._shown_height, self._shown_width) if self._transposed else (self._shown_width, self._shown_height)
        )

    @property
    def rotation_degrees(self) -> int:
        """Clockwise turn of the display matrix, without mirroring: 0, 90, 180 or 270."""
        a, b, _, _ = self._matrix
        return round(float(np.degrees(np.arctan2(b, a))) / 90) * 90 % 360

    def fits(self, frame: VideoFrame) -> bool:
        """Whether a later frame has the size of the first."""
        return (frame.width, frame.height) == self._coded

    def rgb(self, frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        """The upright picture, as a new array."""
        picture = self._square_rgb(frame)
        a, b, c, d = self._matrix
        if self._transposed:
            picture = picture.transpose(1, 0, 2)
        if (c if self._transposed else a) < 0:
            picture = picture[:, ::-1]
        if (b if self._transposed else d) < 0:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)

    def _square_rgb(self, frame: VideoFrame) -> UInt8[np.ndarray, "rows columns 3"]:
        """RGB with square pixels, before turning and mirroring.

        By way of planes of red, green and blue, for which libswscale has vector code: the same pixels as rgb24 in a
        third of the time.
        """
        from av.video.reformatter import Colorspace, Interpolation

        has_alpha = any(component.is_alpha for component in frame.format.components)
        guessed = Colorspace.ITU709 if frame.height >= HD_LINES else Colorspace.ITU601
        converted = self._reformatter.reformat(
            frame,
            width=self._shown_width,
            height=self._shown_height,
            format="rgba" if has_alpha else "gbrp",
            src_colorspace=guessed if frame.colorspace == UNSPECIFIED_COLORSPACE else None,
            **(_bt709_target() if frame.color_trc in HDR_TRANSFERS else {}),
            interpolation=Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND,
            threads=1,
        )
        return _on_white(converted.to_ndarray()) if has_alpha else _interleaved(converted)


def _interleaved(frame: VideoFrame) -> UInt8[np.ndarray, "rows columns 3"]:
    """The pixels of a gbrp frame."""
    import cv2

    green, blue, red = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : frame.width]  # type: ignore[arg-type]
        for plane in frame.planes
    )
    return cv2.merge([red, green, blue])


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of x' = a x + c y, y' = b x + d y in 16.16 fixed point; the identity if none is stated."""
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data  # PyAV's type hint says keys are names; they are Type values
    try:
        matrix = side_data[Type.DISPLAYMATRIX]
    except KeyError:
        return (65536, 0, 0, 65536)
    a, b, _, c, d = np.frombuffer(bytes(matrix)[:20], np.int32).tolist()
    return (a, b, c, d)


def _bt709_target() -> dict[str, Any]:
    from av.video.reformatter import ColorPrimaries, ColorTrc

    return {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}


def _on_white(rgba: UInt8[np.ndarray, "rows columns 4"]) -> UInt8[np.ndarray, "rows columns 3"]:
    colour, alpha = rgba[..., :3].astype(np.uint16), rgba[..., 3:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
