"""Where two parts touch: the points on either surface that stay together, and from when to when they do.

A touch starts from the row in which the surfaces are nearest. Its two points are the nearest ones of the mesh in that
row. It lasts as long as they stay together; what is left before and after, when one part slides along the other, gets
touches of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.motion import Motion
from stages.body.surface import closest_barycentric
from stages.contacts.points import place, skinned_in_faces, skinned_vertices
from stages.contacts.surface import Person, rotations_of

TOGETHER_M = 0.02
"""Two points that move farther apart than this, beyond their nearest, are no longer one touch."""
SHORTEST_ROWS = 2
ALTERNATIONS = 3


@dataclass(frozen=True)
class FacesAround:
    """The triangles around each vertex of a mesh."""

    faces: Int[np.ndarray, "faces 3"]
    start: Int[np.ndarray, "vertices_and_end"]
    face: Int[np.ndarray, "entries"]

    @staticmethod
    def of(faces: Int[np.ndarray, "faces 3"], vertices: int) -> FacesAround:
        """Sort the triangles' corners by vertex."""
        order = np.argsort(faces.ravel(), kind="stable")
        start = np.searchsorted(faces.ravel()[order], np.arange(vertices + 1))
        return FacesAround(faces, start, order // 3)

    def two_rings(self, vertex: int) -> Int[np.ndarray, "near"]:
        """The triangles with the vertex, and those that share a corner with one of them."""
        ring = self.face[self.start[vertex] : self.start[vertex + 1]]
        corners = np.unique(self.faces[ring])
        return np.unique(np.concatenate([self.face[self.start[each] : self.start[each + 1]] for each in corners]))


@dataclass(frozen=True)
class Touch:
    """A pair of points on the surface, and the rows in which they are together."""

    rows: tuple[int, int]
    faces: tuple[int, int]
    barycentric: Float[np.ndarray, "2 3"]


def touches_in(
    span: tuple[int, int],
    gap: Float[np.ndarray, "frames"],
    nearest: Int[np.ndarray, "frames 2"],
    person: Person,
    motion: Motion,
    around: FacesAround,
) -> list[Touch]:
    """The touches of one piece with one part in the rows of `span`, in the order of time."""
    begin, end = span
    row = begin + int(gap[begin:end].argmin())
    first, second = person.sampling.vertices[nearest[row]]
    faces, barycentric = _nearest_on_mesh(person, motion, row, (int(first), int(second)), around)
    corners = person.body.faces[list(faces)]
    points = skinned_in_faces(person.body.weights, person.template, corners, barycentric)
    rows = slice(begin, end)
    placed = place(points, person.transforms(rotations_of(motion, rows), motion.trans[rows]))
    apart = np.linalg.norm(placed[:, 0] - placed[:, 1], axis=-1)
    together = apart < apart[row - begin] + TOGETHER_M
    start, stop = row, row + 1
    while start > begin and together[start - 1 - begin]:
        start -= 1
    while stop < end and together[stop - begin]:
        stop += 1
    before, after = (begin, start), (stop, end)
    result = [Touch((start, stop), faces, barycentric)]
    if before[1] - before[0] >= SHORTEST_ROWS:
        result = touches_in(before, gap, nearest, person, motion, around) + result
    if after[1] - after[0] >= SHORTEST_ROWS:
        result += touches_in(after, gap, nearest, person, motion, around)
    return result


def _nearest_on_mesh(
    person: Person, motion: Motion, row: int, pair: tuple[int, int], around: FacesAround
) -> tuple[tuple[int, int], Float[np.ndarray, "2 3"]]:
    """The nearest points of the triangles around two vertices, in one row: triangles and barycentric coordinates.

    The nearest point on one side is that of the nearest point on the other, a few times in turn.
    """
    body, rows = person.body, slice(row, row + 1)
    near = [around.two_rings(vertex) for vertex in pair]
    corners = [body.faces[faces] for faces in near]
    vertices, inverse = np.unique(np.concatenate([each.ravel() for each in corners]), return_inverse=True)
    transforms = person.transforms(rotations_of(motion, rows), motion.trans[rows])
    placed = place(skinned_vertices(body.sparse_weights, person.template, vertices), transforms)[0]
    split = corners[0].size
    meshes = [placed[inverse[:split]].reshape(-1, 3, 3), placed[inverse[split:]].reshape(-1, 3, 3)]
    point = placed[np.searchsorted(vertices, pair[0])]
    found = [(0, np.zeros(3)), (0, np.zeros(3))]
    for side in (1, 0) * ALTERNATIONS:
        weights = closest_barycentric(point[None], meshes[side])
        places = (weights[..., None] * meshes[side]).sum(1)
        best = int(np.linalg.norm(places - point, axis=-1).argmin())
        found[side], point = (best, weights[best]), places[best]
    faces = int(near[0][found[0][0]]), int(near[1][found[1][0]])
    return faces, np.stack([found[0][1], found[1][1]])
