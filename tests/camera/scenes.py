"""Points of a scene seen by a camera with a known path, as the follower would have found them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from stages.body.rotations import matrix_from_rotvec
from stages.camera.follow import Segment

FOCAL, SIZE = 500.0, (640, 480)
MIDDLE = np.array(SIZE) / 2


def about(axis: int, degrees: Float[np.ndarray, "frames"]) -> Float[np.ndarray, "frames 3 3"]:
    """Rotations about one axis."""
    rotvec = np.zeros((len(degrees), 3))
    rotvec[:, axis] = np.radians(degrees)
    return matrix_from_rotvec(rotvec)


def followed(
    R: Float[np.ndarray, "frames 3 3"],
    t: Float[np.ndarray, "frames 3"],
    keys: Sequence[int] = (0,),
    zoom: Float[np.ndarray, "frames"] | None = None,
    noise_px: float = 0.1,
    moving: float = 0.0,
    points: int = 150,
) -> list[Segment]:
    """The segments of the camera x_world = R x_camera + t, with key frames `keys`. The first segment's points are
    carried on. `moving`: share of points that do not belong to the scene."""
    random = np.random.default_rng(7)
    frames, zoom = len(R), np.ones(len(R)) if zoom is None else zoom
    scene = random.uniform((-6, -4, 3), (6, 2, 9), (40 * points, 3))
    seen = np.einsum("tji,tpj->tpi", R, scene - t[:, None])
    pixels = FOCAL * zoom[:, None, None] * seen[..., :2] / np.maximum(seen[..., 2:], 0.1) + MIDDLE
    pixels = pixels + random.normal(0, noise_px, pixels.shape)
    odd = random.random(len(scene)) < moving
    pixels[:, odd] += np.cumsum(random.normal(0, 2, (frames, odd.sum(), 2)), 0)
    inside = (seen[..., 2] > 0.5) & (pixels > 0).all(-1) & (pixels < SIZE).all(-1)
    segments, before = [], np.zeros(0, int)
    for key, end in zip(keys, [*keys[1:], frames - 1], strict=True):
        carried = before[inside[key, before]]
        fresh = np.setdiff1d(np.flatnonzero(inside[key]), carried)[: points - len(carried)]
        own = np.concatenate([carried, fresh])
        same = np.array([np.flatnonzero(before == each)[0] if each in carried else -1 for each in own], int)
        rows = list(range(key + 1, end + 1))
        found = [np.flatnonzero(inside[row, own]).astype(np.int16) for row in rows]
        places = [pixels[row, own[each]].astype(np.float32) for row, each in zip(rows, found, strict=True)]
        segments.append(Segment(key, None, pixels[key, own].astype(np.float32), False, None, same, rows, found, places))
        before = own
    return segments
