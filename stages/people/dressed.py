"""A body with hair and clothes: shells at a distance from the skin that are skinned with it; a skirt is its own tube.

Every garment is cut on the mean body in T-pose (`v_template`), so it has the same triangles on every body shape. Cloth
spans hollows of the skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.model import Body, pose_joints, shape_vector, shaped_template, with_expression
from stages.body.skinning import SparseWeights, skin
from stages.body.smplx_layout import joint
from stages.people.looks import Looks
from stages.raster.shading import vertex_normals

MATERIALS = ("skin", "hair", "top", "bottom", "jacket", "shoes")
HAIRLINE = ((-0.08, 0.0, 0.03, 0.07, 0.11, 0.17), (0.575, 0.60, 0.655, 0.700, 0.738, 0.748))
"""Depth z on the mean head -> height y above which hair grows."""
SMOOTHINGS = 60
"""Rounds of averaging with neighbouring vertices. On the mean body this fills hollows between the toes by up to 1.7 cm
and hollows of the trunk by up to 3 mm."""


@dataclass(frozen=True)
class Dressed:
    """One dressed person, ready to be posed. Vertices: first those of the body, then those of the shells."""

    template: Float[np.ndarray, "body 3"]
    """The person's body without clothes in T-pose, metres."""
    source: Int[np.ndarray, "shells"]
    """For each shell vertex, the body vertex that `offset` is relative to."""
    offset: Float[np.ndarray, "shells 3"]
    weights: SparseWeights
    faces: Int[np.ndarray, "faces 3"]
    material: Int[np.ndarray, "faces"]
    place: Float[np.ndarray, "vertices 3"]
    """Position of each vertex on the mean body in T-pose; patterns depend on it."""

    def posed(
        self,
        body: Body,
        poses: Float[np.ndarray, "frames 165"],
        transl: Float[np.ndarray, "frames 3"],
        expression: Float[np.ndarray, "frames expression"],
        head_scale: float,
    ) -> Float[np.ndarray, "frames vertices 3"]:
        """All vertices in the frame of `transl`, metres: like `pose_body`, with the shells."""
        rest = with_expression(body, self.template, head_scale * expression)
        shells = rest[:, self.source] + self.offset
        _, transforms = pose_joints(body, self.template, poses, transl)
        return skin(np.concatenate([rest, shells], 1), self.weights, transforms)


def dress(body: Body, looks: Looks) -> Dressed:
    """The person with hair and clothes. `body` must be the open body: the garments are cut on its mean shape."""
    vector = shape_vector(body, looks.betas, looks.head_betas, looks.head_scale, looks.hand_scale)
    template = shaped_template(body, vector)
    wardrobe = _Wardrobe(body, template)
    _add_clothes(wardrobe, looks)
    _add_hair(wardrobe, looks)
    return wardrobe.finished()


class _Wardrobe:
    """The shells that were added so far."""

    def __init__(self, body: Body, template: np.ndarray) -> None:
        self.body, self.template = body, template
        self.normals = vertex_normals(template, body.faces)
        self.draped = _cloth_surface(body, template, self.normals)
        self.mean = body.v_template
        self.source: list[np.ndarray] = []
        self.offset: list[np.ndarray] = []
        self.dense: list[np.ndarray] = []
        self.faces, self.material = [body.faces], [np.zeros(len(body.faces), np.int64)]
        self.place = [self.mean]
        self.count = len(self.mean)

    def shell(self, inside: Float[np.ndarray, "vertices"], standing_off: np.ndarray | float, material: str) -> None:
        """Add a copy of the skin where `inside` is above 0, cut at 0, moved outwards along the normals."""
        cut = _cut(self.body.faces, inside)
        first, second, share = cut.first, cut.second, cut.share[:, None]

        def mixed(values: np.ndarray) -> np.ndarray:
            return (1 - share) * values[first] + share * values[second]

        distance = np.broadcast_to(np.asarray(standing_off, float), len(self.mean))[:, None]
        outside = mixed(self.draped + distance * self.normals)
        weights = mixed(self.body.weights)
        self._add(first, outside - self.template[first], weights, cut.faces, material, mixed(self.mean))

    def tube(
        self, rings: Float[np.ndarray, "rings around 3"], weights: np.ndarray, closed: bool, material: str
    ) -> None:
        """Add a separate sheet between rings, in the person's T-pose; `weights` is (rings, around, 55)."""
        count, around = rings.shape[:2]
        flat = rings.reshape(-1, 3)
        nearest = np.zeros(len(flat), np.int64)
        grid = np.arange(count * around).reshape(count, around)
        after = np.roll(grid, -1, 1) if closed else grid[:, 1:]
        grid = grid if closed else grid[:, :-1]
        a, b, c, d = grid[:-1], after[:-1], grid[1:], after[1:]
        faces = np.concatenate([np.stack(each, -1).reshape(-1, 3) for each in ((a, c, b), (b, c, d))])
        self._add(nearest, flat - self.template[nearest], weights.reshape(-1, 55), faces, material, flat)

    def _add(
        self, source: np.ndarray, offset: np.ndarray, dense: np.ndarray, faces: np.ndarray, material: str,
        place: np.ndarray,
    ) -> None:  # fmt: skip
        self.source.append(source)
        self.offset.append(offset.astype(np.float32))
        self.dense.append(dense)
        self.faces.append(faces + self.count)
        self.material.append(np.full(len(faces), MATERIALS.index(material)))
        self.place.append(place)
        self.count += len(source)

    def finished(self) -> Dressed:
        body, source = self.body, np.concatenate(self.source)
        dense = np.concatenate([body.weights, *self.dense])
        return Dressed(
            self.template, source, np.concatenate(self.offset), SparseWeights.of(dense),
            np.ascontiguousarray(np.concatenate(self.faces)), np.concatenate(self.material),
            np.concatenate(self.place).astype(np.float32),
        )  # fmt: skip


def _cloth_surface(
    body: Body, template: Float[np.ndarray, "vertices 3"], normals: Float[np.ndarray, "vertices 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """The surface under cloth: hollows of trunk and legs and between toes are filled along the normals; neck, arms and
    the rest are unchanged."""
    from scipy.sparse import coo_array

    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    count = len(template)
    beside = coo_array((np.ones(len(edges), np.float32), tuple(edges.T)), (count, count)).tocsr()
    beside = beside.multiply(1 / np.maximum(beside.sum(1), 1)[:, None]).tocsr()
    chosen = body.part_vertices("torso", "left_leg", "right_leg", "left_foot", "right_foot")
    rows, smooth = beside[chosen], template.copy()
    for _ in range(SMOOTHINGS):
        smooth[chosen] = 0.3 * smooth[chosen] + 0.7 * (rows @ smooth)
    below_neck = np.clip((0.50 - body.v_template[:, 1]) / 0.05, 0, 1)
    filled = below_neck * np.maximum(((smooth - template) * normals).sum(1), 0)
    return template + filled[:, None] * normals


@dataclass(frozen=True)
class _Cut:
    """Triangles of a part of the skin. Each vertex is between two skin vertices, `share` of the way to the second."""

    first: Int[np.ndarray, "vertices"]
    second: Int[np.ndarray, "vertices"]
    share: Float[np.ndarray, "vertices"]
    faces: Int[np.ndarray, "faces 3"]


def _cut(faces: Int[np.ndarray, "faces 3"], inside: Float[np.ndarray, "vertices"]) -> _Cut:
    """The triangles where `inside`, interpolated linearly between the vertices, is above 0."""
    keep = inside[faces] > 0
    count = keep.sum(1)
    pairs: list[np.ndarray] = []
    for above, lone in ((1, True), (2, False)):
        chosen, kept = faces[count == above], keep[count == above]
        turn = np.argmax(kept == lone, 1)[:, None]
        a, b, c = np.take_along_axis(chosen, (turn + np.arange(3)) % 3, 1).T
        if above == 1:
            pairs.append(np.stack([_pair(a, a), _pair(a, b), _pair(a, c)], 1))
        else:
            pairs.append(np.stack([_pair(b, b), _pair(c, c), _pair(b, a)], 1))
            pairs.append(np.stack([_pair(c, c), _pair(c, a), _pair(b, a)], 1))
    whole = faces[count == 3]
    pairs.append(np.stack([whole, whole], -1))
    corners = np.concatenate(pairs)
    found, inverse = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    first, second = found.T
    change = inside[first] - inside[second]
    share = np.where(first == second, 0.0, inside[first] / np.where(change == 0, 1, change))
    return _Cut(first, second, share, inverse.reshape(-1, 3))


def _pair(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The two ends of an edge, lower number first, so that both of its triangles share the new vertex."""
    return np.stack([np.minimum(first, second), np.maximum(first, second)], -1)


# ---- clothes
def _within(part: Bool[np.ndarray, "vertices"]) -> Float[np.ndarray, "vertices"]:
    """A part of the body as a function: 1 on the part, -1 elsewhere. Other bounds are combined by minimum."""
    return np.where(part, 1.0, -1.0)


def _add_clothes(wardrobe: _Wardrobe, looks: Looks) -> None:
    body, place = wardrobe.body, wardrobe.mean
    x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
    torso, arms = body.part_vertices("torso"), body.part_vertices("left_arm", "right_arm", "left_hand", "right_hand")
    below = body.part_vertices("left_leg", "right_leg", "left_foot", "right_foot")
    wardrobe.shell(np.minimum(_within(below), -0.80 - y), np.where(y < -0.9, 0.014, 0.010), "shoes")
    skirted = looks.bottom_kind in ("skirt", "dress")
    if skirted:
        _add_skirt(wardrobe, looks)
    else:
        flare = 1 + 1.5 * np.clip((-0.1 - y) / 0.7, 0, 1) * (looks.looseness > 0.012)
        low = np.minimum.reduce([_within(below | torso), 0.03 - y, y - looks.bottom_hem])
        wardrobe.shell(low, 0.004 + 0.6 * looks.looseness * flare, "bottom")
    hem = 0.03 if skirted else looks.hem
    neck = {"crew": 0.512, "v": 0.52, "high": 0.57}[looks.neckline] - 0.15 * np.clip(z - 0.02, 0, 0.1)
    if looks.neckline == "v":
        neck = neck - 0.13 * np.clip(1 - x / 0.06, 0, 1) * (z > 0)
    worn = np.minimum.reduce([_within(torso | arms | below), np.where(arms, 1, neck - y), y - hem, looks.sleeve - x])
    flare = 1 + 0.8 * np.clip(0.15 - y, 0, 0.3) / 0.3 * (not skirted)
    off = 0.006 + looks.looseness * np.where(arms, 1 + 2 * np.clip(x - 0.2, 0, 0.4), flare)
    wardrobe.shell(worn, off, "top")
    if looks.jacket is not None:
        front = x - 0.035 - 0.06 * np.clip(0.5 - y, 0, 0.6)
        opening = np.where((z > 0) & ~arms, front, 1)
        low = y - 0.06 if skirted else y + 0.06
        jacket = [_within(torso | arms | below), np.where(arms, 1, 0.52 - y), low, 0.655 - x, opening]
        wardrobe.shell(np.minimum.reduce(jacket), off + 0.012, "jacket")


def _add_skirt(wardrobe: _Wardrobe, looks: Looks) -> None:
    """A skirt: rings around both legs from the waist to the hem; each side follows its own thigh."""
    around, heights = 48, np.linspace(0.08, looks.bottom_hem, 14)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    hips = wardrobe.template[wardrobe.body.part_vertices("torso", "left_leg", "right_leg")]
    rings, weights = np.zeros((len(heights), around, 3)), np.zeros((len(heights), around, 55))
    floor = wardrobe.template[:, 1].min() / wardrobe.mean[:, 1].min()
    widest = np.zeros(2)
    for row, height in enumerate(heights * floor):
        near = hips[np.abs(hips[:, 1] - height) < 0.03]
        middle = np.array([0.0, (near[:, 2].max() + near[:, 2].min()) / 2])
        radius = np.array([np.abs(near[:, 0]).max(), np.ptp(near[:, 2]) / 2]) + 0.012 + looks.looseness
        widest = np.maximum(widest, radius)
        share = np.clip((0.05 - height) / 0.5, 0, 1)
        across, deep = widest * (1 + (0.1 + 15 * looks.looseness) * share)
        rings[row] = np.stack([across * np.sin(angle), np.full(around, height), middle[1] + deep * np.cos(angle)], -1)
        left = 0.5 + 0.5 * np.clip(1.5 * np.sin(angle), -1, 1)
        pelvis = np.clip(1 + (height + 0.02) / 0.35, 0.25, 1)
        weights[row, :, joint("pelvis")] = pelvis
        weights[row, :, joint("left_hip")] = (1 - pelvis) * left
        weights[row, :, joint("right_hip")] = (1 - pelvis) * (1 - left)
    wardrobe.tube(rings, weights, True, "bottom")


# ---- hair
def hairline(z: Float[np.ndarray, "points"], looks: Looks) -> Float[np.ndarray, "points"]:
    """Height y above which hair grows, at depth z of the mean head, metres."""
    return np.interp(z, *HAIRLINE) - looks.forehead * (z > 0.06)


def _add_hair(wardrobe: _Wardrobe, looks: Looks) -> None:
    if looks.hair_style == "bald":
        return
    body, place = wardrobe.body, wardrobe.mean
    x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
    line = hairline(z, looks)
    grows = np.minimum(_within(body.part_vertices("head")), y - line)
    if looks.hair_style in ("short", "bun"):  # ears stay free
        grows = np.where(z > -0.01, np.minimum(grows, np.maximum(0.071 - x, y - 0.715)), grows)
    thick = {"short": 0.010, "full": 0.026, "bob": 0.022, "long": 0.020, "bun": 0.010}[looks.hair_style]
    rise = np.clip((y - line) / 0.05, 0, 1)
    wardrobe.shell(grows, 0.003 + thick * np.sqrt(rise) * (1 + 0.35 * np.clip((y - 0.74) / 0.05, 0, 1)), "hair")
    if looks.hair_style in ("bob", "long"):
        _add_long_hair(wardrobe, looks)
    if looks.hair_style == "bun":
        _add_bun(wardrobe)


def _head_frame(wardrobe: _Wardrobe) -> tuple[np.ndarray, np.ndarray]:
    """Centre of the person's head and half of its size along x, y, z, metres."""
    head = wardrobe.template[wardrobe.body.part_vertices("head")]
    low, high = head.min(0), head.max(0)
    return (low + high) / 2, (high - low) / 2


def _add_long_hair(wardrobe: _Wardrobe, looks: Looks) -> None:
    """Hair that hangs around the back from ear to ear, down to the jaw (bob) or past the shoulders (long)."""
    centre, half = _head_frame(wardrobe)
    around = 25
    angle = np.linspace(-2.0, 2.0, around) + np.pi  # from the right temple around the back to the left
    length = 0.14 if looks.hair_style == "bob" else 0.34
    drops = np.linspace(0, 1, 10)
    rings, weights = np.zeros((len(drops), around, 3)), np.zeros((len(drops), around, 55))
    for row, drop in enumerate(drops):
        height = centre[1] + 0.55 * half[1] - drop * length
        back = 1 + 0.25 * np.sin(np.pi * min(1, 1.4 * drop)) - 0.12 * drop
        wide = (half[0] + 0.008) * back
        deep = (0.78 * half[2] + 0.012) * back
        rings[row] = np.stack([wide * np.sin(angle), np.full(around, height),
                               centre[2] - 0.018 + deep * np.cos(angle)], -1)  # fmt: skip
        neck = np.clip((drop * length - 0.12) / 0.2, 0, 1)
        weights[row, :, joint("head")] = 1 - neck
        weights[row, :, joint("neck")] = 0.4 * neck
        weights[row, :, joint("spine3")] = 0.6 * neck
    wardrobe.tube(rings, weights, False, "hair")


def _add_bun(wardrobe: _Wardrobe) -> None:
    centre, half = _head_frame(wardrobe)
    middle = centre + np.array([0, 0.85 * half[1], -0.75 * half[2]])
    polar, turn = np.meshgrid(np.linspace(0.01, np.pi - 0.01, 8), np.linspace(0, 2 * np.pi, 14, False), indexing="ij")
    rings = middle + 0.045 * np.stack([np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], -1)
    weights = np.zeros((*polar.shape, 55))
    weights[..., joint("head")] = 1
    wardrobe.tube(rings, weights, True, "hair")
