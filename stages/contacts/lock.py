"""Locks planted feet to the floor: in its contacts, a heel or ball of a foot stays at one place of the plane.

First the whole person is moved, then the legs are turned by what is left. A tracker knows a person's depth least, so
the person moves readily along the line of sight and hardly across it: seen from the camera, little changes. This is for
programs that show the world; a picture drawn over the video wants the motion as it was tracked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.artifacts.contacts import CONTACT_PARTS, Contacts
from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import split_shots
from stages.body.model import Body
from stages.body.same_body import require_same_body
from stages.contacts.legs import Planted, on_floor, slide_mm, turn_legs
from stages.contacts.parts import PIECES, piece_of_vertices
from stages.contacts.surface import Person, sample_surface
from stages.counted import counted
from stages.progress import Progress, silent

ROUNDS = 2
POINT_M = 0.005
"""Spread of a planted point about its place."""
ACROSS_M, ALONG_M = 0.015, 0.30
"""How far a person readily moves across the line of sight, and along it."""
SMOOTH_M_S2 = 3.0
"""Acceleration of that movement that costs as much as a point that is POINT_M away."""


@dataclass(frozen=True)
class FeetFigures:
    """Slide: how far planted points go from one row to the next, mean over all contacts with the floor, mm."""

    contacts: int
    slide_before_mm: float
    slide_after_mm: float
    moved_cm: float
    """How far the person was moved, median over the rows."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as a dictionary of plain numbers."""
        return asdict(self)

    def __str__(self) -> str:
        """The line that the command line prints."""
        return (
            f"feet: slide {self.slide_before_mm:.1f} -> {self.slide_after_mm:.1f} mm per frame "
            f"in {counted(self.contacts, 'contact')}"
        )


def lock_feet(motion: Motion, body: Body, progress: Progress = silent) -> tuple[Motion, FeetFigures | None]:
    """The motion with planted feet locked, shot by shot; as it was, and None, without contacts with a floor.

    Raises InputError for a motion of another body file.
    """
    require_same_body("motion", motion, body)
    contacts = Contacts.none() if motion.contacts is None else motion.contacts
    if motion.floor is None or not len(on_floor(contacts)):
        return motion, None
    poses, trans, slides = motion.poses.copy(), motion.trans.astype(np.float64), []
    for rows, shot in zip(motion.shots, split_shots(motion), strict=True):
        own = contacts.of_shot(rows)
        if len(on_floor(own)):
            locked, slid = _lock_shot(shot, own, body)
            poses[rows], trans[rows] = locked.poses, locked.trans
            slides.append(slid)
        progress("locking feet", rows.stop, len(motion))
    before, after = (np.concatenate(each) for each in zip(*slides, strict=True))
    floor = CONTACT_PARTS.index("floor")
    figures = FeetFigures(
        int((contacts.parts == floor).any(1).sum()), float(before.mean()), float(after.mean()),
        float(100 * np.median(np.linalg.norm(trans - motion.trans, axis=-1))),
    )  # fmt: skip
    return replace(motion, poses=poses, trans=trans.astype(motion.trans.dtype)), figures


def _lock_shot(motion: Motion, contacts: Contacts, body: Body) -> tuple[Motion, tuple[np.ndarray, np.ndarray]]:
    person = Person.of(body, motion, sample_surface(body))
    planted = Planted.of(person, contacts, len(motion))
    lift = lifts(person, contacts)
    begun, world, floor = planted.places(person, motion), motion.world, motion.floor
    assert floor is not None
    ray = world.points(person_places(motion)) - world.t[:, None]
    ray = ray[:, 0] / np.linalg.norm(ray[:, 0], axis=-1, keepdims=True)
    moved, place = np.zeros((len(motion), 3)), begun
    locked = motion
    for _ in range(ROUNDS):
        shift, anchors = _moved(place, planted.weight, ray, moved, floor[0], lift, float(motion.fps))
        moved = moved + shift
        camera = (np.swapaxes(world.R, -1, -2) @ moved[..., None])[..., 0]
        locked = replace(motion, trans=motion.trans + camera, poses=locked.poses)
        goal = np.broadcast_to(anchors, begun.shape)
        locked = replace(locked, poses=turn_legs(person, locked, planted, goal))
        place = planted.places(person, locked)
    return locked, (slide_mm(begun, planted), slide_mm(place, planted))


def person_places(motion: Motion) -> Float[np.ndarray, "frames 1 3"]:
    """Roughly where the person is, camera frame."""
    return motion.trans[:, None].astype(np.float64)


def lifts(person: Person, contacts: Contacts) -> Float[np.ndarray, "touches"]:
    """How high the point of each touch with the floor lies above it when the foot stands flat, metres."""
    pieces, result = piece_of_vertices(person.body), []
    for touch in on_floor(contacts):
        part = CONTACT_PARTS[contacts.parts[contacts.touch_contact[touch], 0]]
        corners = person.template[person.body.faces[contacts.touch_faces[touch, 0]]]
        height = (contacts.touch_barycentric[touch, 0] @ corners)[1]
        lowest = person.template[pieces == PIECES.index(part), 1].min()
        result.append(height - lowest if part.endswith("foot") else 0.0)
    return np.array(result)


def _moved(
    places: Float[np.ndarray, "frames touches 3"],
    weight: Float[np.ndarray, "frames touches"],
    ray: Float[np.ndarray, "frames 3"],
    before: Float[np.ndarray, "frames 3"],
    floor: Float[np.ndarray, "4"],
    lift: Float[np.ndarray, "touches"],
    fps: float,
) -> tuple[Float[np.ndarray, "frames 3"], Float[np.ndarray, "touches 3"]]:
    """How to move the person in the world so that planted points are at one place of the floor each, and these places.

    Linear least squares in the moves d and in two coordinates of each place:

        sum w |p + d - place|^2 / POINT_M^2  +  sum |before + d|^2 (ACROSS_M, ALONG_M)  +  sum |(before + d)''|^2
    """
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    frames, touches = weight.shape
    normal = floor[:3]
    plane = np.linalg.svd(normal[None])[2][1:].T
    origin = normal * (floor[3] + lift[:, None])
    row, touch = np.nonzero(weight)
    root = np.sqrt(weight[row, touch]) / POINT_M
    pick = sparse.csr_matrix((root, (np.arange(len(row)), row)), (len(row), frames))
    own = sparse.csr_matrix((root, (np.arange(len(row)), touch)), (len(row), touches))
    meet = sparse.hstack([sparse.kron(pick, np.eye(3)), -sparse.kron(own, plane)])
    apart = root[:, None] * (origin[touch] - places[row, touch])
    stiff = np.eye(3) / ACROSS_M + (1 / ALONG_M - 1 / ACROSS_M) * ray[:, :, None] * ray[:, None]
    second = _second_differences(frames) * (fps**2 / SMOOTH_M_S2)
    places_fixed = sparse.csr_matrix((3 * (frames + second.shape[0]), 2 * touches))
    rest = sparse.hstack(
        [sparse.vstack([sparse.block_diag(list(stiff)), sparse.kron(second, np.eye(3))]), places_fixed]
    )
    matrix = sparse.vstack([meet, rest]).tocsc()
    right = np.concatenate([apart.ravel(), -(rest @ np.concatenate([before.ravel(), np.zeros(2 * touches)]))])
    found = np.asarray(spsolve((matrix.T @ matrix).tocsc(), matrix.T @ right))
    return found[: 3 * frames].reshape(frames, 3), origin + found[3 * frames :].reshape(touches, 2) @ plane.T


def _second_differences(count: int) -> Any:
    """The sparse matrix that takes second differences of a column of `count` values."""
    from scipy import sparse

    inner = max(count - 2, 0)
    row, column = np.repeat(np.arange(inner), 3), (np.arange(inner)[:, None] + np.arange(3)).ravel()
    return sparse.csr_matrix((np.tile([1.0, -2.0, 1.0], inner), (row, column)), (inner, count))
