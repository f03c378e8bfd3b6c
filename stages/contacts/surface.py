"""The body's surface as a few thousand oriented points: vertices, their normals and the pieces that they belong to.

Distances between two surfaces are read from these points: of a point p, the height above the surface is its height
above the tangent plane of the nearest point q, (p - q) . n. With 20 mm between points on a torso and 5 mm on a finger,
that is within 2 mm of the mesh near a contact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body, joint_transforms, motion_template
from stages.body.rotations import matrix_from_rotvec
from stages.contacts.parts import FINGERS, MAY_PINCH, MAY_TOUCH, NAMED, PIECES, piece_of_vertices
from stages.contacts.points import SkinnedPoints, place, skinned_vertices
from stages.raster.shading import vertex_normals

SPACING_M = {"finger": 0.005, "palm": 0.008, "face": 0.010, "head": 0.014, "foot": 0.015}
"""Least distance between two points of a piece, in the mean rest pose. Other pieces keep every vertex."""
QUERY_SPACING_M = (0.010, 0.020)
"""Least distance between the points of hands, and of forearms, whose height above other surfaces is measured."""
PUSHED_SAG_M = 0.002
"""A point that is not pushed itself lies no farther than this from the tangent plane of one that is: with 20 mm between
points alone, the tip of an elbow sank 10 mm into a belly unseen. As much as `solve.MARGIN_M`."""
MOST_IN_CLUSTER = 48


@dataclass(frozen=True)
class Sampling:
    """Which vertices of a body stand for its surface; the same for every person. Sorted by cluster."""

    vertices: Int[np.ndarray, "points"]
    piece: Int[np.ndarray, "points"]
    """Row of PIECES."""
    first: Int[np.ndarray, "clusters_and_end"]
    """Cluster k has the points first[k]:first[k + 1], which lie close together on one piece."""
    cluster_piece: Int[np.ndarray, "clusters"]
    query: Int[np.ndarray, "queries"]
    """The points that touch, and that must not be inside other parts."""
    may_touch: Bool[np.ndarray, "pieces pieces"]
    """Row: piece of a query point. Column: a piece that it can touch."""
    named: Bool[np.ndarray, "pieces pieces"]
    """The pairs of `may_touch` whose contacts are listed: left hand to right hand, not right hand to left hand too."""


def sample_surface(body: Body, sag_m: float = np.inf) -> Sampling:
    """The whole surface; hands and forearms touch the rest, the other arm and each other. 30 ms.

    sag_m: how far, at most, the surface between query points is out of their tangent planes. A touch is as well found
    without; what is pushed out of a body needs PUSHED_SAG_M.
    """
    return _sampled(body, piece_of_vertices(body), MAY_TOUCH, NAMED, sag_m)


def sample_fingertips(body: Body) -> Sampling:
    """The last phalanges of the fingers; fingers touch the thumb of their own hand."""
    tips = [row for row, name in enumerate(JOINT_NAMES) if name.endswith("3") and not name.startswith("spine")]
    pieces = piece_of_vertices(body)
    pieces[~np.isin(body.weights.argmax(1), tips)] = -1
    return _sampled(body, pieces, MAY_PINCH, MAY_PINCH, np.inf)


def _sampled(
    body: Body,
    pieces: Int[np.ndarray, "vertices"],
    may_touch: Bool[np.ndarray, "pieces pieces"],
    named: Bool[np.ndarray, "pieces pieces"],
    sag_m: float,
) -> Sampling:
    clusters, of_cluster = [], []
    normals = vertex_normals(body.v_template, body.faces)
    for number, name in enumerate(PIECES):
        chosen = _spread(body.v_template, np.flatnonzero(pieces == number), _spacing(name), normals, np.inf)
        for cluster in _split(body.v_template, chosen):
            clusters.append(cluster)
            of_cluster.append(number)
    vertices = np.concatenate(clusters)
    piece = np.repeat(of_cluster, [len(each) for each in clusters])
    query = []
    for number in np.flatnonzero(may_touch.any(1)):
        rows = np.flatnonzero(piece == number)
        places, along = body.v_template[vertices[rows]], normals[vertices[rows]]
        query.append(rows[_spread(places, np.arange(len(rows)), _query_spacing(PIECES[number]), along, sag_m)])
    first = np.concatenate([[0], np.cumsum([len(each) for each in clusters])])
    return Sampling(
        vertices,
        piece.astype(np.int64),
        first,
        np.array(of_cluster),
        np.sort(np.concatenate(query)),
        may_touch,
        named,
    )


def _query_spacing(piece: str) -> float:
    return QUERY_SPACING_M[piece.endswith("forearm")]


def _spacing(piece: str) -> float:
    name = piece.removeprefix("left_").removeprefix("right_")
    return SPACING_M.get("finger" if name in FINGERS else name, 0.0)


def _spread(
    places: np.ndarray, candidates: Int[np.ndarray, "candidates"], spacing: float, normals: np.ndarray, sag_m: float
) -> Int[np.ndarray, "kept"]:
    """The candidates in order, without those nearer than `spacing` to one that was kept and within `sag_m` of its
    tangent plane."""
    if spacing == 0.0:
        return candidates
    from stages.contacts.kernels import spread

    kept = np.zeros(len(candidates), bool)
    spread(places.astype(np.float64), normals.astype(np.float64), candidates, spacing, sag_m, kept)
    return candidates[kept]


def _split(places: np.ndarray, members: Int[np.ndarray, "members"]) -> list[Int[np.ndarray, "cluster"]]:
    """Halve along the longest side until at most MOST_IN_CLUSTER are left."""
    if len(members) <= MOST_IN_CLUSTER:
        return [members] if len(members) else []
    along = places[members][:, np.ptp(places[members], axis=0).argmax()]
    order = members[np.argsort(along, kind="stable")]
    half = len(order) // 2
    return _split(places, order[:half]) + _split(places, order[half:])


@dataclass(frozen=True)
class Person:
    """One person's rest shape, ready to be posed without a mesh."""

    body: Body
    template: Float[np.ndarray, "vertices 3"]
    rest_joints: Float[np.ndarray, "55 3"]
    sampling: Sampling
    points: SkinnedPoints
    rest_normals: Float[np.ndarray, "points 3"]

    @staticmethod
    def of(body: Body, motion: Motion, sampling: Sampling) -> Person:
        """The person of a motion."""
        template = motion_template(body, motion)
        normals = vertex_normals(template, body.faces)[sampling.vertices].astype(np.float64)
        points = skinned_vertices(body.sparse_weights, template, sampling.vertices)
        rest_joints = (body.J_regressor @ template).astype(np.float64)
        return Person(body, template, rest_joints, sampling, points, normals)

    def towards(self, other: Person, share: float) -> Person:
        """A person whose rest shape lies between this one's and the other's; the other's template."""
        return Person(
            self.body,
            other.template,
            self.rest_joints + share * (other.rest_joints - self.rest_joints),
            self.sampling,
            self.points.towards(other.points, share),
            self.rest_normals + share * (other.rest_normals - self.rest_normals),
        )

    def transforms(
        self, rotations: Float[np.ndarray, "frames 55 3 3"], trans: Float[np.ndarray, "frames 3"]
    ) -> Float[np.ndarray, "frames 55 3 4"]:
        """Per joint, the map from the rest pose to the camera frame."""
        return joint_transforms(self.body.parents, rotations, self.rest_joints, trans.astype(np.float64))

    def joints(self, transforms: Float[np.ndarray, "frames 55 3 4"]) -> Float[np.ndarray, "frames 55 3"]:
        """Where the joints are."""
        return (transforms[..., :3] @ self.rest_joints[None, :, :, None])[..., 0] + transforms[..., 3]

    def surface(
        self, transforms: Float[np.ndarray, "frames 55 3 4"]
    ) -> tuple[Float[np.ndarray, "frames points 3"], Float[np.ndarray, "frames points 3"]]:
        """The surface's points and normals."""
        from stages.contacts.kernels import turn_normals

        points, normals = place(self.points, transforms), np.empty((len(transforms), len(self.points), 3))
        turn_normals(self.points.start, self.points.joint, self.points.weight, self.rest_normals, transforms, normals)
        return points, normals

    def heights(
        self, points: np.ndarray, normals: np.ndarray, limit: float, under: np.ndarray | None = None
    ) -> tuple[Float[np.ndarray, "frames queries"], Int[np.ndarray, "frames queries"]]:
        """Height of each query point above the nearest surface that it may touch, and which point that is.

        Beyond `limit` the height is `limit` and the point -1. `under`: the points of an earlier call, to look there
        first.
        """
        from stages.contacts.kernels import heights

        chosen = self.sampling
        height = np.empty((len(points), len(chosen.query)))
        under = np.full(height.shape, -1) if under is None else under.copy()
        heights(points, normals, chosen.first, chosen.cluster_piece, chosen.query, chosen.may_touch, limit, height,
                under)  # fmt: skip
        return height, under

    def heights_above(
        self, points: np.ndarray, normals: np.ndarray, under: Int[np.ndarray, "frames queries"], limit: float
    ) -> Float[np.ndarray, "frames queries"]:
        """Height of each query point above the tangent plane of a known point; `limit` where that is -1."""
        rows = np.arange(len(points))[:, None]
        apart = points[:, self.sampling.query] - points[rows, under]
        return np.where(under >= 0, (apart * normals[rows, under]).sum(-1), limit)


def rotations_of(motion: Motion, rows: slice = slice(None)) -> Float[np.ndarray, "frames 55 3 3"]:
    """The joints' rotation matrices, float64."""
    poses = motion.poses[rows]
    return matrix_from_rotvec(poses.reshape(len(poses), 55, 3).astype(np.float64))
