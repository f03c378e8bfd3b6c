"""Sheets of the photo, one per part: a grid of points, each bound to the surface of the part and skinned with it.

A point on the part's mesh takes depth and weights of the surface. A point beside it (cloth, hair) takes those of the
nearest point on the mesh. Weights are smoothed over the sheet, so that cloth bends softly where the mesh has a crease.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from stages.compiled import njit
from stages.generate.puppet.crossed import side_under
from stages.generate.puppet.draw import skin_points
from stages.generate.puppet.nearest import nearest_marked
from stages.generate.puppet.parts import LAYERS, layer_of_face
from stages.generate.puppet.patches import fill_from_patches
from stages.generate.puppet.view import View, arm_share, smoothstep, strongest_joints
from stages.raster.masks import dilate, without_thin
from stages.raster.rasterizer import rasterizer

OVERLAP_M = 0.03
"""A sheet may use pixels of a neighbour if its own surface is at most this far behind the visible surface."""
NECK = 12
"""Number of the neck joint."""
CONTINUED = ("torso", "head", "left_leg", "right_leg")
"""Sheets that are continued under what covers them in the photo."""
STRIP_CM, SLEEVE_STRIP_CM = 1.5, 0.6
"""Width of the strip beside what covers a sheet, which may hold its colour or shadow; the second beside a sleeve that
was told from hands and cuffs by its colour."""
SEAM_PX = 3.0
"""Beside the mesh two sheets share this many pixels on each side of their border."""
RIM_CM = 2.5
"""Width of the neck's rim under the chin: it is the trunk's, not the head's."""
NEAREST_M = 0.002
"""A surface is the nearest one if no other lies before it by more than this."""
TEETH_CM = 0.7
"""The border between head and neck runs along the triangles of the mesh: its teeth are thinner than twice this."""
CHIN_CM = 0.4
"""Width of the strip around the face whose colours are the chin's or its edge's."""


@dataclass
class Layer:
    """One sheet. Points are in the rest pose, `uv` in pixels of the sheet's texture."""

    name: str
    rest: Float[np.ndarray, "points 3"]
    joints: Int[np.ndarray, "points k"]
    weights: Float[np.ndarray, "points k"]
    uv: Float[np.ndarray, "points 2"]
    opacity: Float[np.ndarray, "points"]
    faces: Int[np.ndarray, "faces 3"]
    bound_vertices: Int[np.ndarray, "points 3"]
    bound_weights: Float[np.ndarray, "points 3"]
    texture: UInt8[np.ndarray, "height width 4"]
    origin: tuple[int, int]
    """Canvas pixel of the texture's top left corner."""
    depth: float
    """Median depth in the photo, metres."""
    step: float
    """Grid step in canvas pixels."""
    arm_share: Float[np.ndarray, "points"]
    """How far each point belongs to an arm, 0 to 1."""

    def pose(self, offsets: np.ndarray, transforms: np.ndarray) -> Float[np.ndarray, "points 3"]:
        """Posed points in the camera frame."""
        moved = self.rest + (offsets[self.bound_vertices] * self.bound_weights[..., None]).sum(1)
        out = np.empty_like(self.rest)
        skin_points(moved.astype(np.float32), self.joints, self.weights, transforms, out)
        return out


def build_layer(
    view: View,
    name: str,
    alpha: Float[np.ndarray, "height width"],
    labels: Int[np.ndarray, "height width"],
    colours: UInt8[np.ndarray, "height width 3"],
    step: int,
    moving: frozenset[str] = frozenset(),
    face: Bool[np.ndarray, "height width"] | None = None,
    hair: Bool[np.ndarray, "height width"] | None = None,
    crossing: frozenset[str] = frozenset(),
) -> Layer | None:
    """The sheet of one of LAYERS, or None if it is not visible in the photo.

    moving: layers that will leave their place. A strip beside them is left out, because it may contain their colour.
    face: pixels of the face. Only the head's sheet shows them: a chin on the neck's sheet would stay behind.
    hair: pixels of hair that hangs over other parts. Under it, and under moving arms, a sheet is continued with its own
    patches. crossing: the moving arms that cross the trunk in the photo (`crossing_arms`).
    """
    row = list(LAYERS).index(name)
    faces = view.rig.body.faces[layer_of_face(view) == row]
    height, width = alpha.shape
    own = rasterizer("numba")(view.points, faces, width, height)
    covered = own.face >= 0
    still = ~np.isin(labels, [list(LAYERS).index(part) for part in moving - {name}])
    mask = _sheet_mask(view, labels == row, own.depth, covered, still)
    if face is not None and name == "torso":
        colours = _continue_under_face(view, colours, labels == row, face)
        mask |= dilate(labels == row, RIM_CM * view.centimetre_px) & face  # a chin that rises shows more neck
    if face is not None and name == "head":  # a rim of the neck under the chin would stay on the chin
        nearest = without_teeth(covered & (own.depth <= view.fragments.depth + NEAREST_M), view.centimetre_px)
        mask &= (labels == row) | nearest | ~dilate(face, RIM_CM * view.centimetre_px)
    if name != "head":
        mask &= ~_beside_moving_parts(view, labels, row, own.depth, covered, moving, crossing)
    covering = moving if name != "head" else frozenset(part for part in moving if part.endswith("hand"))
    if name in CONTINUED:
        place = covered | side_under(view, alpha, labels, covered) if crossing and name == "torso" else covered
        under = np.zeros(labels.shape, bool)
        for part in covering:
            over = place & (labels == list(LAYERS).index(part))
            under |= over | (dilate(over, _strip_px(view, part, crossing)) & (labels == row))
        if hair is not None and name != "head":
            under |= hair & covered
        if face is not None:
            under &= ~face
        colours = _continue_under(colours, under, (labels == row) & (alpha > 0.97))
        mask |= under & place
    opacity = alpha * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    if covered.sum() < 40 or (opacity > 0.5).sum() < 40:
        return None
    lattice, cells = _lattice(opacity, step)
    x, y = lattice[:, 0], lattice[:, 1]
    source, distance = _nearest_covered_pixel(covered, x, y)
    vertices = faces[own.face[source[:, 1], source[:, 0]]]
    barycentric = own.barycentric[source[:, 1], source[:, 0]]
    depth = own.depth[source[:, 1], source[:, 0]]
    cm = view.centimetre_px
    weights = (view.rig.body.weights[vertices] * barycentric[..., None]).sum(1)
    far = np.clip(distance / (4 * cm), 0, 1)
    shape = (height + step - 1) // step + 1, (width + step - 1) // step + 1
    cell = (y / step).round().astype(int), (x / step).round().astype(int)
    weights = _smooth(weights, cell, shape, 1.2 * cm / step, 4 * cm / step, far)
    depth = _smooth(depth[:, None], cell, shape, 0.8 * cm / step, 4 * cm / step, far)[:, 0]
    if name == "head" and hair is not None and hair.any():
        weights, depth = _hang(view, lattice, weights, depth, distance)
        even = _smooth(depth[:, None], cell, shape, 2 * cm / step, 2 * cm / step, far)[:, 0]
        depth += smoothstep(0.0, 2 * cm, distance) * (even - depth)  # the head itself keeps its own depth
    joints, weights = strongest_joints(weights)
    fall = np.exp(-((distance / (3 * cm)) ** 2))
    bound = barycentric * fall[:, None]
    rest = _unskin(view, lattice, depth, joints, weights)
    rest -= (view.offsets[vertices] * bound[..., None]).sum(1)
    box = _box(opacity)
    x0, y0, x1, y1 = box
    texture = np.dstack([colours, (opacity * 255 + 0.5).astype(np.uint8)])[y0:y1, x0:x1]
    triangles = _triangles(cells, rest, step, depth, float(view.K[0, 0]))
    return Layer(
        name, rest.astype(np.float32), joints, weights, (lattice - (x0, y0)).astype(np.float32),
        np.ones(len(rest), np.float32), triangles, vertices.astype(np.int32), bound.astype(np.float32),
        np.ascontiguousarray(texture), (x0, y0), float(np.median(depth)), float(step),
        arm_share(joints, weights),
    )  # fmt: skip


def without_teeth(area: Bool[np.ndarray, "height width"], centimetre_px: float) -> Bool[np.ndarray, "height width"]:
    """The area without what is thinner than twice TEETH_CM."""
    return without_thin(area, TEETH_CM * centimetre_px)


def _continue_under_face(
    view: View, colours: UInt8[np.ndarray, "height width 3"], own: np.ndarray, face: np.ndarray
) -> UInt8[np.ndarray, "height width 3"]:
    """The colours, with neck and hair continued under the edge of the face from the nearest pixel clear of it."""
    edge = dilate(face, CHIN_CM * view.centimetre_px)
    if not (own & ~edge).any():
        return colours
    _, rows, columns = nearest_marked(own & ~edge)
    return np.where(edge[..., None], colours[rows, columns], colours)


def _continue_under(
    colours: UInt8[np.ndarray, "height width 3"], under: np.ndarray, own: np.ndarray
) -> UInt8[np.ndarray, "height width 3"]:
    """The colours, with the part continued where something covers it, from patches of what it shows elsewhere.

    under: what to fill, with a strip beside the cover that may hold its colour or its shadow. own: pixels that show the
    part.
    """
    hole, sources = under, own & ~under
    if not hole.any() or not sources.any():
        return colours
    y0, y1, x0, x1 = _bounds(hole | sources)
    part = np.ascontiguousarray(colours[y0:y1, x0:x1])
    _, rows, columns = nearest_marked(sources[y0:y1, x0:x1])
    part = np.where((sources | hole)[y0:y1, x0:x1, None], part, part[rows, columns])
    filled = fill_from_patches(part, hole[y0:y1, x0:x1], sources[y0:y1, x0:x1])
    if filled is None:
        filled = np.where(hole[y0:y1, x0:x1, None], part[rows, columns], part)
    out = colours.copy()
    out[y0:y1, x0:x1] = np.where(hole[y0:y1, x0:x1, None], filled, out[y0:y1, x0:x1])
    return out


def _bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """First row, row after the last, first column, column after the last, of True pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _hang(
    view: View, lattice: np.ndarray, weights: np.ndarray, depth: np.ndarray, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and depths of the head's sheet where hair hangs below the chin: the farther, the more it is the trunk's.

    Hair that the photo shows before a part lies a centimetre before its surface.
    """
    height, width = view.photo.shape[:2]
    x, y = lattice[:, 0].astype(int).clip(0, width - 1), lattice[:, 1].astype(int).clip(0, height - 1)
    trunk = np.isin(view.fragments.face, np.flatnonzero(layer_of_face(view) == list(LAYERS).index("torso")))
    if not trunk.any():
        return weights, depth
    neck = view.transforms[NECK, :, :3] @ view.rig.rest_joints[NECK] + view.transforms[NECK, :, 3]
    level = float((view.K @ neck)[1] / neck[2])
    cm = view.centimetre_px
    share = smoothstep(2 * cm, 18 * cm, distance) * smoothstep(level - 8 * cm, level + 6 * cm, lattice[:, 1])
    _, rows, columns = nearest_marked(trunk)
    at = rows[y, x], columns[y, x]
    corners = view.rig.body.faces[view.fragments.face[at]]
    theirs = (view.rig.body.weights[corners] * view.fragments.barycentric[at][..., None]).sum(1)
    weights = (1 - share[:, None]) * weights + share[:, None] * theirs
    surface = view.fragments.depth[y, x]
    before = np.where(np.isfinite(surface) & (distance > 0), surface - 0.01, np.inf)
    return weights, np.minimum((1 - share) * depth + share * (view.fragments.depth[at] - 0.01), before)


def _sheet_mask(
    view: View, own: np.ndarray, depth: np.ndarray, covered: np.ndarray, still: np.ndarray
) -> Bool[np.ndarray, "height width"]:
    """Pixels of the part, and a border of its neighbours' pixels where both surfaces meet.

    Beside the mesh, in wide trousers or a skirt, the border is narrow: it only keeps two sheets from parting. There
    it is taken from `still` pixels only, those of parts that keep their place.
    """
    visible = view.fragments.depth
    near = covered & (depth < np.where(np.isfinite(visible), visible, 1e3) + OVERLAP_M)
    beside = dilate(own, SEAM_PX) & ~np.isfinite(visible) & still
    return own | (dilate(own, max(2.0, 0.011 * max(view.size))) & near) | beside


def _beside_moving_parts(
    view: View, labels: np.ndarray, row: int, depth: np.ndarray, covered: np.ndarray, moving: frozenset[str],
    crossing: frozenset[str],
) -> Bool[np.ndarray, "height width"]:  # fmt: skip
    """The strip beside another, moving part that hides the sheet's own surface by more than OVERLAP_M."""
    out = np.zeros(labels.shape, bool)
    visible = view.fragments.depth
    nearer = covered & (depth > np.where(np.isfinite(visible), visible, 1e3) + OVERLAP_M)
    for other, name in enumerate(LAYERS):
        if other != row and name in moving:
            out |= dilate((labels == other) & nearer, _strip_px(view, name, crossing))
    return out


def _strip_px(view: View, cover: str, crossing: frozenset[str]) -> float:
    """Width of the strip beside what covers a sheet, pixels."""
    return (SLEEVE_STRIP_CM if cover in crossing else STRIP_CM) * view.centimetre_px


def _lattice(opacity: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Grid points (x, y in pixels) of the sheet, and its cells as (cells, 4) point numbers, clockwise from top left."""
    height, width = opacity.shape
    rows, columns = (height + step - 1) // step, (width + step - 1) // step
    padded = np.zeros((rows * step, columns * step), np.float32)
    padded[:height, :width] = opacity
    used = padded.reshape(rows, step, columns, step).max((1, 3)) > 0.004
    used = dilate(used, 1.0) if used.any() else used
    corner = np.zeros((rows + 1, columns + 1), bool)
    r, c = np.nonzero(used)
    for dr, dc in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corner[r + dr, c + dc] = True
    number = np.full(corner.shape, -1)
    number[corner] = np.arange(corner.sum())
    cells = np.stack([number[r, c], number[r, c + 1], number[r + 1, c + 1], number[r + 1, c]], 1)
    y, x = np.nonzero(corner)
    return np.stack([x * step, y * step], 1).astype(np.float32), cells


def _nearest_covered_pixel(covered: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each point the nearest covered pixel (x, y) and its distance in pixels."""
    height, width = covered.shape
    distance, rows, columns = nearest_marked(covered)
    px, py = x.astype(int).clip(0, width - 1), y.astype(int).clip(0, height - 1)
    return np.stack([columns[py, px], rows[py, px]], 1), distance[py, px]


def _smooth(
    values: np.ndarray, cell: tuple, shape: tuple, near: float, far_sigma: float, far: np.ndarray
) -> np.ndarray:
    """Normalised Gaussian over the points of the sheet: sigma `near` on the surface, `far_sigma` away from it."""
    present = np.zeros(shape, np.float32)
    present[cell] = 1.0
    out = np.zeros_like(values, dtype=np.float32)
    for column in np.flatnonzero(np.abs(values).max(0) > 1e-6):
        image = np.zeros(shape, np.float32)
        image[cell] = values[:, column]
        blurred = []
        for sigma in (near, far_sigma):
            weight = cv2.GaussianBlur(present, (0, 0), max(sigma, 0.3))
            blurred.append((cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3)) / np.maximum(weight, 1e-6))[cell])
        out[:, column] = (1 - far) * blurred[0] + far * blurred[1]
    return out


def _unskin(view: View, lattice: np.ndarray, depth: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rest positions of canvas points at a depth: inverse skinning with the blended matrix."""
    homogeneous = np.concatenate([lattice, np.ones((len(lattice), 1))], 1)
    camera = homogeneous @ np.linalg.inv(view.K.astype(np.float64)).T * depth[:, None]
    blended = (view.transforms[joints] * weights[..., None, None]).sum(1).astype(np.float64)
    return np.linalg.solve(blended[..., :3], (camera - blended[..., 3])[..., None])[..., 0]


def _triangles(cells: np.ndarray, rest: np.ndarray, step: int, depth: np.ndarray, focal: float) -> np.ndarray:
    """Two triangles per cell, without those that join two different surfaces in the rest pose."""
    faces = np.concatenate([cells[:, [0, 1, 3]], cells[:, [1, 2, 3]]])
    corners = rest[faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    limit = np.maximum(0.05, 6 * step * depth[faces].mean(1) / focal)
    return np.ascontiguousarray(faces[edges < limit], np.int32)


def _box(opacity: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((opacity > 0.004).any(1)), np.flatnonzero((opacity > 0.004).any(0))
    height, width = opacity.shape
    x0, y0 = max(columns[0] - 2, 0), max(rows[0] - 2, 0)
    return int(x0), int(y0), int(min(columns[-1] + 3, width)), int(min(rows[-1] + 3, height))


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def fade_stretched(points, faces, step, opacity, out):
    """Opacity of each point: lower where the sheet is stretched, folded or turned away, so that it fades gradually.

    step: expected grid step at this distance, in pixels. A triangle is opaque while its longest edge is below 2.2 steps
    (transparent above 3.6) and its area is above 0.25 of a flat triangle's (transparent at zero).
    """
    for n in range(out.shape[0]):
        out[n] = opacity[n]
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        longest = max((ax - bx) ** 2 + (ay - by) ** 2, (bx - cx) ** 2 + (by - cy) ** 2, (cx - ax) ** 2 + (cy - ay) ** 2)
        stretch = np.sqrt(longest) / step
        flat = ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / (step * step)
        keep = min(max((3.6 - stretch) / 1.4, 0.0), 1.0) * min(max(flat / 0.25, 0.0), 1.0)
        for n in (a, b, c):
            if keep < out[n]:
                out[n] = keep
