"""The world of a motion: where its camera stands in each row, so that a camera that moves is no movement of the person.

x_world = R @ x_camera + t, metres. Each shot has a world of its own. Its axes are OpenCV's (x right, y down, z forward)
and its origin is the camera of the shot's first row. Under a still camera the world is the camera: R is the identity
and t is zero. Under a moving one y points along gravity as well as the camera's movement tells it, so R of the first
row is the tilt and roll of the first camera.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from stages.artifacts.schema import Field
from stages.errors import InputError

STILL, TURNING, TRAVELLING, UNKNOWN = CAMERAS = ("still", "turning", "travelling", "unknown")
"""What a camera does in a shot. A turning one may zoom too; K then changes. Unknown: R is the identity, t is zero."""
FAR_M = 100_000.0
"""Farthest place of a camera, metres."""
ZOOM_SAID = 1.01
"""Least ratio of focal lengths that is called a zoom."""
NOT_ORTHOGONAL = 1e-3
"""Largest entry of R' R - 1."""

WORLD_FIELDS = (
    Field("emosh_world_R", "frames 3 3", "float", "rotation from the row's camera to the world", required=False,
          least=-1.001, most=1.001),
    Field("emosh_world_t", "frames 3", "float", "place of the row's camera in the world, metres", required=False,
          least=-FAR_M, most=FAR_M),
    Field("emosh_camera", "frames", "text", "what the camera does in the row's shot: still, turning, travelling, "
          "unknown", required=False),
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """One row per row of the motion; see WORLD_FIELDS."""

    R: Float[np.ndarray, "frames 3 3"]
    t: Float[np.ndarray, "frames 3"]
    camera: Shaped[np.ndarray, "frames"]
    """One of CAMERAS, the same in all rows of a shot."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.t)

    @staticmethod
    def still(frames: int, camera: str = STILL) -> World:
        """The world that is the camera."""
        return World(np.tile(np.eye(3), (frames, 1, 1)), np.zeros((frames, 3)), np.full(frames, camera))

    @property
    def moves(self) -> Bool[np.ndarray, "frames"]:
        """Rows whose camera turns or travels."""
        return (self.camera == TURNING) | (self.camera == TRAVELLING)

    def as_rows(self) -> dict[str, np.ndarray]:
        """The fields of a motion that hold it: `replace(motion, **world.as_rows())`."""
        return {"world_R": self.R, "world_t": self.t, "camera": self.camera}

    def said(self, shots: Sequence[slice], K: Float[np.ndarray, "frames 3 3"]) -> str:
        """What the camera does in the shots, as one phrase such as "camera turns (up to 12 degrees)"."""
        phrases = Counter(_said(self.R[rows], self.t[rows], str(self.camera[rows.start]), K[rows]) for rows in shots)
        if len(phrases) == 1:
            return f"camera {next(iter(phrases))}"
        parts = [f"{phrase}{f' in {count} shots' if count > 1 else ''}" for phrase, count in phrases.items()]
        return f"camera {', '.join(parts)}"

    def points(self, points: Float[np.ndarray, "frames points 3"]) -> Float[np.ndarray, "frames points 3"]:
        """Points of each row's camera, in the world."""
        return points @ self.R.swapaxes(-1, -2) + self.t[:, None]


def _said(
    R: Float[np.ndarray, "rows 3 3"], t: Float[np.ndarray, "rows 3"], camera: str, K: Float[np.ndarray, "rows 3 3"]
) -> str:
    """What the camera does in one shot: the widest angle and the longest way from its first place, and its zoom."""
    if camera == UNKNOWN:
        return "not told from the background"
    if camera == STILL:
        return STILL
    turned = np.einsum("tij,ij->t", R, R[0])
    degrees = round(float(np.degrees(np.arccos(np.clip((turned - 1) / 2, -1, 1))).max()))
    zoom = float(K[:, 0, 0].max() / K[:, 0, 0].min())
    zooms = f"zooms ({zoom:.2f} times)" if zoom > ZOOM_SAID else ""
    if camera == TRAVELLING:
        way = float(np.linalg.norm(t - t[0], axis=1).max())
        return f"travels (up to {way:.1f} m) and turns (up to {degrees} degrees)"
    if zooms and not degrees:
        return zooms
    return f"turns (up to {degrees} degrees)" + (f" and {zooms}" if zooms else "")


def check_world(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Check the arrays of WORLD_FIELDS, which have passed the schema, against each other.

    Raises InputError for a world with only some of its arrays, for an R that is no rotation, and for another word than
    those of CAMERAS.
    """
    missing = [field.name for field in WORLD_FIELDS if field.name not in arrays]
    if len(missing) == len(WORLD_FIELDS):
        return
    if missing:
        raise InputError(f"{where}: array '{missing[0]}' is missing from the camera's path; make the file again")
    R = arrays["emosh_world_R"].astype(np.float64)
    odd = (np.abs(R.swapaxes(-1, -2) @ R - np.eye(3)).max((1, 2)) > NOT_ORTHOGONAL) | (np.linalg.det(R) < 0)
    if odd.any():
        raise InputError(
            f"{where}: array 'emosh_world_R' is no rotation at row {int(odd.argmax())}; make the file again"
        )
    strange = ~np.isin(arrays["emosh_camera"], CAMERAS)
    if strange.any():
        raise InputError(
            f"{where}: array 'emosh_camera' is no kind of camera at row {int(strange.argmax())}, expected "
            f"{', '.join(CAMERAS)}; make the file again"
        )
