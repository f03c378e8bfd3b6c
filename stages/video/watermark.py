"""An invisible mark that says "emosh drew this", and outlives H.264 at crf 23, a halving of the size, and both.

Spread spectrum (Cox et al. 1997) with the host's own interference cancelled (improved spread spectrum, Malvar and
Florencio 2003). The picture's luma is brought to 128 x 128, whatever its size and aspect, and transformed by a DCT;
a band of some 3,100 middle frequencies carries a fixed pattern of signs. The embedder adds just as much of it as
brings the normalised correlation to `TARGET`: busy pictures get more, plain ones less. Averaged over a clip, the
correlation in standard deviations of chance is the evidence.

Written here because no library in the registry did it, measured on the same nine clips: invisible-watermark's dwtDct
gives 31 to 66 % of its bits after H.264 at crf 23; its dwtDctSvd 93 to 100 % there, but 57 to 93 % at half the size,
at 30 to 130 ms a frame, and it needs the original size back and imports torch. This one takes 3 to 6 ms a frame.

It knows nothing of who made a video or when: provenance and signature say that. The pattern is public, so the mark
tells an honest viewer, and does not withstand somebody who sets out to remove it, nor a crop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

SIDE = 128
LOWEST, HIGHEST = 10.0, 64.0
"""The band, by the radius of DCT indices: 5 to 32 cycles across the picture."""
SEED = 0x656D6F7368
"""The pattern's; "emosh" in ASCII."""
TARGET = 0.17
"""Normalised correlation of every marked frame."""
LIMIT = 2.0
"""Coefficients beyond this many deviations count as this many, so that a striped shirt cannot fool the detector."""
LEAST, MOST = 0.5, 3.0
"""Root-mean-square of what is added, in levels of 255: below it rounding would swallow the mark, above it shows."""
BUSY, PLAIN = 12.0, 0.08
"""Local deviation, in levels, from which a place takes the whole amount; the share that a plain one takes."""
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
FOUND = 5.0
"""Standard deviations of chance from which a mark is reported."""
SAMPLED = 32
"""Frames of a clip that are looked at, evenly spread."""


@dataclass(frozen=True)
class Evidence:
    """What a video shows. `deviations` would be near 0 without a mark; `frames` were looked at."""

    deviations: float
    frames: int

    @property
    def found(self) -> bool:
        """Whether a mark is reported."""
        return self.deviations >= FOUND

    def __str__(self) -> str:
        """In words."""
        said = "found" if self.found else "none"
        return f"{said} ({self.deviations:.1f} standard deviations, reported from {FOUND:g}; {self.frames} frames)"


class Marker:
    """Marks frames of one size."""

    def __init__(self, height: int, width: int) -> None:
        self._size = (width, height)
        self._pattern = _picture(height, width)

    def mark(self, rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """The frame with the mark in it: whole levels, the same number added to red, green and blue."""
        import cv2

        luma = _luma(rgb)
        room = _room(luma)
        scale = _amount(_transformed(luma), _transformed(room * _picture(SIDE, SIDE)))
        added = scale * cv2.resize(room, self._size, interpolation=cv2.INTER_LINEAR) * self._pattern
        rms = float(np.sqrt(np.mean(np.square(added)))) + 1e-9
        levels = np.rint(added * (float(np.clip(rms, LEAST, MOST)) / rms)).astype(np.int16)
        return np.clip(rgb + levels[..., None], 0, 255).astype(np.uint8)


def evidence(frames: list[UInt8[np.ndarray, "height width 3"]]) -> Evidence:
    """How strongly the frames, together, carry the mark. Without frames there is none."""
    if not frames:
        return Evidence(0.0, 0)
    mean = np.mean([_limited(_transformed(_luma(frame))) for frame in frames], axis=0)
    return Evidence(round(_correlation(mean) * float(np.sqrt(len(mean))), 2), len(frames))


def read_watermark(path: Path) -> Evidence:
    """Look for the mark in a video or a photo. Raises InputError for one that cannot be read."""
    from stages.video.source import probe, read_frames

    count = probe(path).frame_count or SAMPLED
    every = max(1, count // SAMPLED)
    picked = []
    for index, frame in enumerate(read_frames(path)):
        if index % every == 0:
            picked.append(_small(frame.rgb))
        if len(picked) == SAMPLED:
            break
    return evidence(picked)


# ---- the band
def _luma(rgb: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "side side"]:
    return (_small(rgb) * LUMA).sum(-1)  # not `@`: a matrix library rounds otherwise on every processor


def _transformed(picture: Float[np.ndarray, "side side"]) -> Float[np.ndarray, "band"]:
    """The band's DCT coefficients, weighted so that a natural picture's are alike in size."""
    from scipy.fft import dctn

    rows, columns, weights, _ = _band()
    return np.asarray(dctn(picture, norm="ortho"))[rows, columns] * weights


def _room(luma: Float[np.ndarray, "side side"]) -> Float[np.ndarray, "side side"]:
    """How much each place hides: plain ones a part of what busy ones do. A gradient of light is plain."""
    import cv2

    rough = luma - cv2.blur(luma, (5, 5))
    deviation = np.sqrt(np.maximum(cv2.blur(rough * rough, (5, 5)), 0.0))  # blur sums with rounding errors
    inside = cv2.erode(np.clip(deviation / BUSY, PLAIN, 1.0), np.ones((5, 5)))  # not the plain side of an edge
    return cv2.blur(inside, (3, 3))


def _small(rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "side side 3"]:
    import cv2

    if rgb.shape[:2] == (SIDE, SIDE):
        return rgb
    return cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _limited(coefficients: Float[np.ndarray, "band"]) -> Float[np.ndarray, "band"]:
    """In deviations of the frame's own, judged by the median, the largest cut."""
    deviation = max(1.4826 * float(np.median(np.abs(coefficients))), 1e-6)
    return np.clip(coefficients / deviation, -LIMIT, LIMIT)


def _correlation(limited: Float[np.ndarray, "band"]) -> float:
    """Of -1 to 1; chance has a deviation of one over the root of the band's length."""
    size = float(np.sqrt(np.mean(np.square(limited))))
    return float(np.mean(limited * _band()[3])) / max(size, 1e-6)


def _amount(coefficients: Float[np.ndarray, "band"], added: Float[np.ndarray, "band"]) -> float:
    """How many times `added` brings this frame to TARGET, by bisection; 0 where it is there already."""
    low, high = 0.0, 8.0 * MOST
    for _ in range(10):
        middle = (low + high) / 2
        if _correlation(_limited(coefficients + middle * added)) < TARGET:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=1)
def _band() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(rows, columns, weights, signs). Natural spectra fall with frequency; the weight rises with it."""
    index = np.arange(SIDE)
    radius = np.hypot(index[:, None], index[None])
    rows, columns = np.nonzero((radius >= LOWEST) & (radius < HIGHEST))
    signs = np.random.default_rng(SEED).integers(0, 2, len(rows)).astype(np.float32) * 2 - 1
    return rows, columns, (radius[rows, columns] / HIGHEST).astype(np.float32), signs


@lru_cache(maxsize=4)
def _picture(height: int, width: int) -> Float[np.ndarray, "height width"]:
    """The pattern at a picture's own size, of root-mean-square one."""
    import cv2
    from scipy.fft import idctn

    rows, columns, _, signs = _band()
    transformed = np.zeros((SIDE, SIDE), np.float32)
    transformed[rows, columns] = signs
    small = np.asarray(idctn(transformed, norm="ortho"), np.float32)
    small /= np.sqrt(np.mean(np.square(small)))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
