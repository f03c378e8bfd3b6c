"""How much of a person in a photo lies beside the fitted body: robes, capes, loose hair, a shadow on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import Body
from stages.detect.matte import person_matte
from stages.generate.puppet.framing import result_size
from stages.generate.puppet.others import other_people
from stages.generate.puppet.parts import pixels_of_parts
from stages.generate.puppet.view import make_rig, make_view
from stages.raster.masks import dilate, keep_touching

CLOSE_CM = 8.0
"""Clothes and hair within this distance of the body move with it well enough."""
SAID = 0.7
"""Share from which it is said: 0.97 for a robe with a cape, at most 0.48 on 33 other photos, the most for a seated
person with a shadow. Other people are left out."""
COVERED = 1.0
"""The same share below the hips from which clothes cover the legs: 1.7 for the robe and 2.1 for the shadow, at most
0.43 on eight other photos with legs."""
SIDE_PX = 512


@dataclass(frozen=True)
class Beside:
    """What lies beside the body, as a share of the body's area: of all of it, and below the hips."""

    share: float
    below_hips: float

    @property
    def covers_legs(self) -> bool:
        """Whether clothes hide how the legs stand."""
        return self.below_hips >= COVERED

    def faults(self) -> list[str]:
        """One phrase if it is much, else none."""
        if self.share < SAID:
            return []
        share = f"{100 * self.share:.0f} % of its area"
        return [f"wide clothes or loose hair beside the body, {share}, will be torn"]


def beside_body(rgb: UInt8[np.ndarray, "height width 3"], reference: Motion, body: Body) -> Beside:
    """What lies beside the body of `reference` (one row) in the photo `rgb`."""
    size = result_size(rgb.shape[1], rgb.shape[0], min(SIDE_PX, max(rgb.shape[:2])))
    view = make_view(rgb, reference, make_rig(body, reference), size)
    mesh = view.crop(view.fragments.face) >= 0
    if not mesh.any():
        return Beside(0.0, 0.0)
    rows, columns = np.nonzero(mesh)
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)
    photo = np.ascontiguousarray(view.crop(view.photo))
    person = (person_matte(photo, box) > 0.5) & ~other_people(photo, mesh, pixels_of_parts(view, "head"))
    hips = project(view.joints("left_hip", "right_hip"), view.K)[:, 1].mean() - view.offset[1]
    below = np.broadcast_to((np.arange(len(mesh)) > hips)[:, None], mesh.shape)
    return Beside(*(beside_share(person, mesh, view.centimetre_px, area) for area in (np.ones_like(mesh), below)))


def beside_share(
    person: Bool[np.ndarray, "height width"],
    mesh: Bool[np.ndarray, "height width"],
    centimetre_px: float,
    area: Bool[np.ndarray, "height width"],
) -> float:
    """The part of `person` inside `area` that hangs together with the body's `mesh` and is not close to it, over the
    mesh inside `area`."""
    joined = keep_touching(person, mesh)
    return float((joined & area & ~dilate(mesh, CLOSE_CM * centimetre_px)).sum() / max((mesh & area).sum(), 1))
