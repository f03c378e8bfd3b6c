"""The One Euro filter (Casiez et al. 2012) as MediaPipe applies it to the points of a pose."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

PICTURES_PER_SECOND = 1 / 0.033333
"""MediaPipe counts pictures, 33.333 ms apart, whatever the clip's frame rate is."""
VISIBILITY_SHARE = 0.1
"""Share of the new visibility in the smoothed one."""


@dataclass
class OneEuro:
    """The filter of one set of points. It has no memory until the first call."""

    least_cutoff: float
    beta: float
    speed_cutoff: float = 1.0
    _raw: np.ndarray | None = field(default=None, repr=False)
    _speed: np.ndarray | None = field(default=None, repr=False)
    _smooth: np.ndarray | None = field(default=None, repr=False)

    def __call__(self, points: Float[np.ndarray, "points axes"], scale: float = 1.0) -> np.ndarray:
        """The smoothed points. `scale` is the size of the object, in the unit of the points."""
        if self._raw is None or self._speed is None or self._smooth is None:
            self._raw, self._speed, self._smooth = points, np.zeros_like(points), points
            return points
        speed = (points - self._raw) / scale * PICTURES_PER_SECOND
        self._raw = points
        self._speed = self._speed + share(self.speed_cutoff) * (speed - self._speed)
        cutoff = self.least_cutoff + self.beta * np.abs(self._speed)
        self._smooth = self._smooth + share(cutoff) * (points - self._smooth)
        return self._smooth


def share(cutoff):
    """Share of the new value in a low-pass filter with that cutoff frequency, Hz."""
    return 1 / (1 + PICTURES_PER_SECOND / (2 * np.pi * cutoff))
