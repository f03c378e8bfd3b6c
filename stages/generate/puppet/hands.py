"""Hands: the sheet of the photo while the hand is held as in the photo, the mesh in other poses.

A flat sheet of a hand looks like a mitten when the hand turns or the fingers move. A mesh has five fingers but not the
exact outline of the photo. Therefore the sheet fades into the mesh with the angle between the two poses.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.generate.puppet.view import smoothstep

WRIST = {"left_hand": 20, "right_hand": 21}
FIRST_FINGER = {"left_hand": 25, "right_hand": 40}
SAME_RAD, OTHER_RAD = 0.14, 0.40
"""Below the first angle the sheet is drawn, above the second the mesh. Chosen by eye."""


def pose_change(name: str, now: Float[np.ndarray, "55 3 4"], photo: Float[np.ndarray, "55 3 4"]) -> float:
    """Angle (radians) from the photo's hand pose: tilt of the wrist out of the picture plane, or finger bend.

    A turn within the picture plane does not distort a sheet and does not count.
    """
    wrist, first = WRIST[name], FIRST_FINGER[name]
    turn = now[wrist, :, :3] @ photo[wrist, :, :3].T
    tilt = float(np.arccos(np.clip(turn[2, 2], -1.0, 1.0)))
    fingers = slice(first, first + 15)
    current = now[wrist, :, :3].T @ now[fingers, :, :3]
    original = photo[wrist, :, :3].T @ photo[fingers, :, :3]
    trace = np.einsum("jab,jab->j", current, original)
    bend = np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))
    return max(tilt, 0.6 * float(bend.max()))


def sheet_and_mesh_opacity(change: float) -> tuple[float, float]:
    """Opacity of the sheet and of the mesh. The mesh is opaque before the sheet starts to fade."""
    mesh = float(smoothstep(SAME_RAD, (SAME_RAD + OTHER_RAD) / 2, np.array(change)))
    sheet = float(smoothstep(OTHER_RAD, (SAME_RAD + OTHER_RAD) / 2, np.array(change)))
    return sheet, mesh
