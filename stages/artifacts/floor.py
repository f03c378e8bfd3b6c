"""The floor of a motion: one plane per shot, in the world of `stages.artifacts.world`; every row of the shot holds it.

normal . x_world = offset on the floor; the normal points up and has length 1. NaN where no floor was found.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.artifacts.schema import Field
from stages.errors import InputError

FLOOR_FIELDS = (
    Field("emosh_floor", "frames 4", "float", "floor in the world: unit normal that points up, and normal . x on it, "
          "metres; NaN: none was found", required=False, finite=False, least=-100_000.0, most=100_000.0),
)  # fmt: skip
NOT_UNIT = 1e-3


def check_floor(floor: Float[np.ndarray, "frames 4"] | None, where: str) -> None:
    """Raises InputError for a row with some NaN, and for a normal whose length is not 1."""
    if floor is None:
        return
    known = np.isfinite(floor)
    odd = known.any(1) & ~known.all(1)
    odd |= known.all(1) & (np.abs(np.linalg.norm(np.nan_to_num(floor[:, :3]), axis=1) - 1) > NOT_UNIT)
    if odd.any():
        raise InputError(f"{where}: array 'emosh_floor' is no plane at row {int(odd.argmax())}; make the file again")


def floor_said(floor: Float[np.ndarray, "frames 4"]) -> str:
    """For people: how many degrees the floors lean from the world's x-z plane, or that there is none."""
    known = floor[np.isfinite(floor[:, 0])]
    if not len(known):
        return "not found"
    planes = np.unique(known, axis=0)
    tilt = np.degrees(np.arccos(np.clip(-planes[:, 1], -1, 1)))
    below = -planes[:, 3]
    said = [
        f"{down:.2f} m below the camera, leans {angle:.0f} degrees" for down, angle in zip(below, tilt, strict=True)
    ]
    return "; ".join(said)
