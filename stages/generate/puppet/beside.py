"""How much of a person in a photo lies beside the fitted body: other people who touch, robes, capes, loose hair."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.detect.matte import person_matte
from stages.generate.puppet.framing import result_size
from stages.generate.puppet.view import make_rig, make_view
from stages.raster.masks import dilate, keep_touching

CLOSE_CM = 8.0
"""Clothes and hair within this distance of the body move with it well enough."""
SAID = 0.7
"""Share from which it is said: 0.97 and 0.98 for a robe with a cape and for a group of people, at most 0.48 on fifteen
other photos, the most for a seated person with a shadow."""
SIDE_PX = 512


def beside_faults(rgb: UInt8[np.ndarray, "height width 3"], reference: Motion, body: Body) -> list[str]:
    """One phrase if much of the person lies beside the body of `reference` (one row), else none. rgb: the photo."""
    size = result_size(rgb.shape[1], rgb.shape[0], min(SIDE_PX, max(rgb.shape[:2])))
    view = make_view(rgb, reference, make_rig(body, reference), size)
    mesh = view.crop(view.fragments.face) >= 0
    if not mesh.any():
        return []
    rows, columns = np.nonzero(mesh)
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)
    person = person_matte(np.ascontiguousarray(view.crop(view.photo)), box) > 0.5
    share = beside_share(person, mesh, view.centimetre_px)
    if share < SAID:
        return []
    return [f"other people, wide clothes or loose hair beside the body, {100 * share:.0f} % of its area, will be torn"]


def beside_share(
    person: Bool[np.ndarray, "height width"], mesh: Bool[np.ndarray, "height width"], centimetre_px: float
) -> float:
    """The area of `person` that hangs together with the body's `mesh` and is not close to it, over the mesh's area."""
    joined = keep_touching(person, mesh)
    return float((joined & ~dilate(mesh, CLOSE_CM * centimetre_px)).sum() / max(mesh.sum(), 1))
