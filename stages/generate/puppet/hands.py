"""Hands: the photo's own picture of a hand while it is held as in the photo, the mesh as soon as it is not.

A flat sheet of a hand becomes a webbed mitten when the hand turns or the fingers move; a mesh has five fingers but
never the photo's exact outline. So the sheet fades into the mesh with the angle between the two poses.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.generate.puppet.view import smoothstep

WRIST = {"left_hand": 20, "right_hand": 21}
FIRST_FINGER = {"left_hand": 25, "right_hand": 40}
SAME_RAD, OTHER_RAD = 0.14, 0.40
"""Below the first angle the photo's hand is shown, above the second the mesh (chosen by eye)."""


def pose_change(name: str, now: Float[np.ndarray, "55 3 4"], photo: Float[np.ndarray, "55 3 4"]) -> float:
    """Radians by which a hand differs from the photo's: the wrist's turn out of the picture's plane, or any finger's.

    A turn within the picture's plane is harmless for a sheet and does not count.
    """
    wrist, first = WRIST[name], FIRST_FINGER[name]
    turn = now[wrist, :, :3] @ photo[wrist, :, :3].T
    tilt = float(np.arccos(np.clip(turn[2, 2], -1.0, 1.0)))
    fingers = slice(first, first + 15)
    mine = now[wrist, :, :3].T @ now[fingers, :, :3]
    theirs = photo[wrist, :, :3].T @ photo[fingers, :, :3]
    trace = np.einsum("jab,jab->j", mine, theirs)
    bend = np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))
    return max(tilt, 0.6 * float(bend.max()))


def opacities(change: float) -> tuple[float, float]:
    """Opacity of the sheet and of the mesh; the mesh is whole before the sheet goes, so nothing shines through."""
    mesh = float(smoothstep(SAME_RAD, (SAME_RAD + OTHER_RAD) / 2, np.array(change)))
    sheet = float(smoothstep(OTHER_RAD, (SAME_RAD + OTHER_RAD) / 2, np.array(change)))
    return sheet, mesh
