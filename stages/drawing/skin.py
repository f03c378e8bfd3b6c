"""Plain colours of skin, lips, eyes and brows for a body that is nobody's likeness."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from stages.body.model import Body

SKIN = (168, 120, 96)
PAINT: tuple[tuple[tuple[str, ...], tuple[int, int, int]], ...] = (
    (("left_eye_socket", "right_eye_socket"), (120, 70, 60)),
    (("mouth_cavity", "tongue"), (110, 40, 40)),
    (("lips",), (150, 86, 78)),
    (("left_brow", "right_brow"), (70, 50, 40)),
    (("left_eyeball", "right_eyeball", "teeth"), (225, 225, 220)),
    (("left_iris", "right_iris"), (40, 30, 26)),
)
"""Named vertex sets and their colours (linear, 0-255), the later over the earlier: nobody's likeness."""


def skin_colours(body: Body) -> UInt8[np.ndarray, "vertices 4"]:
    """Linear RGBA of each vertex."""
    rgba = np.full((len(body.v_template), 4), 255, np.uint8)
    rgba[:, :3] = SKIN
    for names, colour in PAINT:
        rgba[np.any([body.sets[name] for name in names], 0), :3] = colour
    return rgba
