"""Which drawings there are: each makes one picture from a posed frame, for a model that was trained on such pictures.

A drawing is a function `(Motion, Body, View, DrawingOptions) -> Painter`, imported when it is asked for. Its version
stands in every file that is drawn, so that a model never reads a map that it was not made for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.drawing.frames import PosedFrame, View

Painter = Callable[["PosedFrame"], UInt8[np.ndarray, "height width 3"]]


@dataclass(frozen=True)
class DrawingOptions:
    """How finely a drawing is made. `hybrid`: with the key lines of the paper's map."""

    supersample: int = 2
    rasterizer: str = "numba"
    hybrid: bool = True


@dataclass(frozen=True)
class Drawing:
    """One way to draw. `version` changes whenever its pictures do."""

    name: str
    version: str
    function: str
    reads: str
    """Which models read it."""

    def painter(self, motion: Motion, body: Body, view: View, options: DrawingOptions) -> Painter:
        """What draws the frames of one motion."""
        module, attribute = self.function.split(":")
        return getattr(import_module(module), attribute)(motion, body, view, options)


DRAWINGS = {
    each.name: each
    for each in (
        Drawing("mesh", "hybrid-1", "stages.drawing.mesh:painter", "an adapter that emosh trained (the paper's map)"),
        Drawing("skeleton", "skeleton-1", "stages.drawing.skeleton:painter", "Wan2.2-Animate, unchanged"),
        Drawing("openpose", "openpose-1", "stages.drawing.openpose:painter", "VACE and other DWPose-driven models"),
        Drawing("depth", "depth-1", "stages.drawing.surface:depth_painter", "depth-driven models"),
        Drawing("normal", "normal-1", "stages.drawing.surface:normal_painter", "normal-driven models, such as Champ"),
        Drawing(
            "shaded", "shaded-1", "stages.drawing.surface:shaded_painter", "SCAIL-2 and other models driven by renders"
        ),
    )
}


def drawing(name: str) -> Drawing:
    """The drawing of that name. Raises InputError naming the choices."""
    if name not in DRAWINGS:
        raise InputError(f"no drawing is called '{name}'; choose one of: {', '.join(DRAWINGS)}")
    return DRAWINGS[name]


def drawn_by(version: str) -> Drawing | None:
    """The drawing whose pictures carry that version; None for a version of another emosh."""
    return next((each for each in DRAWINGS.values() if each.version == version), None)
