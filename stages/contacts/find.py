"""Finds the contacts of a motion: hands and forearms with the body, fingers with their thumb, feet with the floor.

For each row, the nearest points of every pair of pieces that may touch are found on the body's surface; `episodes` says
from when to when they touch; `touches` says where. It knows the motion only, not the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from stages.artifacts.contacts import Contacts, join_contacts
from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import split_shots
from stages.body.model import Body
from stages.body.same_body import require_same_body
from stages.contacts.episodes import PINCH, SURFACE, episodes, joined
from stages.contacts.floor import find_floor
from stages.contacts.on_floor import floor_touches
from stages.contacts.parts import PART_OF_PIECE, PIECES, piece_of_vertices
from stages.contacts.surface import Person, Sampling, rotations_of, sample_fingertips, sample_surface
from stages.contacts.touches import FacesAround, Touch, touches_in
from stages.progress import Progress, silent

FAR_M = 0.06
"""Surfaces farther apart are not compared."""
ROWS_AT_ONCE = 64
APART_S = 0.2
"""Touches of the same two parts with a shorter break between them are one contact."""


@dataclass(frozen=True)
class Nearness:
    """How near one piece is to another part, row by row."""

    gap: Float[np.ndarray, "frames"]
    """Metres, below 0 where the surfaces cross; inf beyond FAR_M and where nobody was seen."""
    speed: Float[np.ndarray, "frames"]
    """Of the two nearest points relative to each other, metres per second."""
    nearest: Int[np.ndarray, "frames 2"]
    """The two nearest points, as rows of the sampling."""


def with_contacts(motion: Motion, body: Body, progress: Progress = silent) -> Motion:
    """The motion with its floor and its contacts. Raises InputError for a motion of another body file."""
    motion = replace(motion, floor=find_floor(motion, body))
    return replace(motion, contacts=find_contacts(motion, body, progress))


def find_contacts(motion: Motion, body: Body, progress: Progress = silent) -> Contacts:
    """All contacts of a motion, shot by shot; those with the floor where it has one. 1 ms per row.

    Raises InputError for a motion of another body file.
    """
    require_same_body("motion", motion, body)
    found = [_in_shot(shot, body, progress) for shot in split_shots(motion)]
    return join_contacts(found, [rows.start for rows in motion.shots])


def _in_shot(motion: Motion, body: Body, progress: Progress) -> Contacts:
    found: list[tuple[tuple[int, int], Touch]] = []
    around = FacesAround.of(body.faces, len(body.v_template))
    pieces = piece_of_vertices(body)
    for sampling, rule in ((sample_surface(body), SURFACE), (sample_fingertips(body), PINCH)):
        person = Person.of(body, motion, sampling)
        for (piece, part), near in sorted(_nearness(person, motion, progress).items()):
            parts = (int(PART_OF_PIECE[piece]), part)
            for span in episodes(near.gap, near.speed, float(motion.fps), rule):
                touches = touches_in(span, near.gap, near.nearest, person, motion, around)
                found += [(parts, touch) for touch in touches if _between(parts, touch, body, pieces)]
    if motion.floor is not None and np.isfinite(motion.floor[0]).all():
        found += floor_touches(Person.of(body, motion, sample_surface(body)), motion, motion.floor[0])
    return _table(found, float(motion.fps))


def _between(parts: tuple[int, int], touch: Touch, body: Body, pieces: Int[np.ndarray, "vertices"]) -> bool:
    """Whether the points of the touch lie on these parts. Nearest points across a part's border are its neighbour's: a
    palm on a palm touches no forearm."""
    corners = body.faces[list(touch.faces)][[0, 1], touch.barycentric.argmax(1)]
    on = pieces[corners]
    return bool(((on < 0) | (PART_OF_PIECE[on] == parts)).all())


def _nearness(person: Person, motion: Motion, progress: Progress) -> dict[tuple[int, int], Nearness]:
    """By (piece, part): the pairs that come near each other in some row."""
    blocks, count = [], len(motion)
    for start in range(0, count, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, count)
        wide = slice(max(0, start - 1), min(stop + 1, count))
        points, normals = person.surface(person.transforms(rotations_of(motion, wide), motion.trans[wide]))
        inner = slice(start - wide.start, stop - wide.start)
        blocks.append(_block(person.sampling, points, normals, inner, float(motion.fps)))
        progress("finding contacts", stop, count)
    unseen = ~motion.valid[:, 0]
    result = {}
    for key in sorted({key for block in blocks for key in block}):
        gap, speed = np.full(count, np.inf), np.full(count, np.inf)
        nearest = np.zeros((count, 2), np.int64)
        for number, block in enumerate(blocks):
            if key in block:
                rows = slice(number * ROWS_AT_ONCE, number * ROWS_AT_ONCE + len(block[key].gap))
                gap[rows], speed[rows], nearest[rows] = block[key].gap, block[key].speed, block[key].nearest
        gap[unseen] = np.inf
        result[key] = Nearness(gap, speed, nearest)
    return result


def _block(
    sampling: Sampling,
    points: Float[np.ndarray, "wide points 3"],
    normals: Float[np.ndarray, "wide points 3"],
    inner: slice,
    fps: float,
) -> dict[tuple[int, int], Nearness]:
    """`_nearness` of some rows. `inner` leaves out the row before and the row after, which give the speed."""
    from stages.contacts.kernels import nearest_of_pairs

    rows = np.arange(len(points))[inner]
    size = (len(points), len(PIECES), len(PIECES))
    distance, mine, other = np.empty(size), np.zeros(size, np.int64), np.zeros(size, np.int64)
    nearest_of_pairs(points, sampling.first, sampling.cluster_piece, sampling.piece, sampling.query,
                     sampling.named, FAR_M, distance, mine, other)  # fmt: skip
    result = {}
    for a in np.flatnonzero(sampling.named.any(1)):
        for part in np.unique(PART_OF_PIECE[sampling.named[a]]):
            pieces = np.flatnonzero(sampling.named[a] & (part == PART_OF_PIECE))
            best = pieces[distance[rows, a][:, pieces].argmin(1)]
            away = distance[rows, a, best]
            if away.min() >= FAR_M:
                continue
            p, q = mine[rows, a, best], other[rows, a, best]
            apart = points[rows, p] - points[rows, q]
            gap = np.where(away < FAR_M, (apart * normals[rows, q]).sum(-1), np.inf)
            before, after = np.maximum(rows - 1, 0), np.minimum(rows + 1, len(points) - 1)
            change = points[after, p] - points[after, q] - (points[before, p] - points[before, q])
            speed = np.linalg.norm(change, axis=-1) * fps / np.maximum(after - before, 1)
            result[int(a), int(part)] = Nearness(gap, speed, np.stack([p, q], -1))
    return result


def _table(found: list[tuple[tuple[int, int], Touch]], fps: float) -> Contacts:
    """Touches of the same parts at the same time become one contact; short ones go; sorted by their first row."""
    contacts = []
    for parts in sorted({parts for parts, _ in found}):
        for begin, end in joined([touch.rows for each, touch in found if each == parts], APART_S * fps):
            if end - begin >= max(1, round(SURFACE.shortest_s * fps)):
                contacts.append(((begin, end), parts))
    contacts.sort()
    if not contacts:
        return Contacts.none()
    owners = [
        next((row for row, (span, of) in enumerate(contacts) if of == parts and span[0] <= touch.rows[0] < span[1]), -1)
        for parts, touch in found
    ]
    found = [each for each, owner in zip(found, owners, strict=True) if owner >= 0]
    owner = [owner for owner in owners if owner >= 0]
    order = sorted(range(len(found)), key=lambda row: (owner[row], found[row][1].rows))
    touches = [found[row][1] for row in order]
    return Contacts(
        parts=np.array([parts for _, parts in contacts]),
        rows=np.array([span for span, _ in contacts]),
        touch_contact=np.array([owner[row] for row in order]),
        touch_rows=np.array([touch.rows for touch in touches]),
        touch_faces=np.array([touch.faces for touch in touches]),
        touch_barycentric=np.array([touch.barycentric for touch in touches], np.float32),
    )
