"""Detect the people in one picture: faces, bodies, and which belong together. All values in pixels of the picture.

A body without a face counts only if the selfie matte agrees, because the pose network finds people in furniture.
Knows nothing of time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import Box, bounding_box, contains, cut, overlap, union_box
from stages.detect.matte import matte_at, person_matte
from stages.networks.detection import FAR_FACES, NEAR_FACES, detect
from stages.networks.opened import Networks, is_too_small
from stages.networks.pose import find_pose

SURVEY_PIXELS = 640
"""Longer side of the picture that is searched for people."""
FACE_REGION = (3.2, 1.6, 7.0)
"""Region of the body around the centre of a face, in face heights: to each side, above, below (notes/tracker: crop)."""
NEAR_FACE = 0.6
"""A pose belongs to a face when its nose is within this many face heights of the face's centre."""
MATTE_OF_A_BODY = 0.3
"""A pose without a face is a person if the matte at its torso is at least this; furniture has 0.00 to 0.02 (d9)."""
SHOULDERS_PER_HEAD = 1.9
"""Shoulder width / height of the face box, to estimate the head height of people without a visible face."""
TORSO = [11, 12, 23, 24]
FACE_SCORE = 0.5
"""Least score of a face."""
LONE_FACE_SCORE = 0.7
"""Least score of a face without a pose. The near detector finds faces in fists and laps at 0.5 to 0.7 (d1, d8)."""


@dataclass(frozen=True)
class PersonDetection:
    """One person in one frame: centre and height of the head in px, the box of the visible person, and a score 0..1."""

    frame: int
    head: Float[np.ndarray, "2"]
    head_height: float
    box: Box
    has_face: bool
    score: float


def detect_people(
    rgb: UInt8[np.ndarray, "height width 3"], frame: int, networks: Networks, closer: list[Box] | None = None
) -> list[PersonDetection]:
    """All people in one picture, largest head first. If nobody is found, the regions `closer` are searched too."""
    height, width = rgb.shape[:2]
    whole = np.array([0, 0, width, height], float)
    faces = find_faces(rgb, networks)
    pose = _detect_pose(rgb, whole, networks)
    bare = None
    if pose is not None and not any(_is_pose_of(pose, face[0]) for face in faces):
        bare, pose = _detection_without_face(rgb, frame, pose, networks), None
    if not faces and bare is None:
        faces = _first_sure_faces(rgb, networks, closer or [])
    found, lone = [], []
    for face in faces:
        own = pose if pose is not None and _is_pose_of(pose, face[0]) else None
        if own is None:
            own = _detect_pose(rgb, face_region(face[0]), networks)
            own = own if own is not None and _is_pose_of(own, face[0]) else None
        (lone if own is None else found).append(_detection_from_face(frame, face, own, width, height))
    found += [s for s in lone if s.score >= LONE_FACE_SCORE and not any(contains(o.box, s.head) for o in found)]
    if bare is not None and all(overlap(bare.box, other.box) < 0.5 for other in found):
        found.append(bare)
    return sorted(found, key=lambda s: -s.head_height)


def find_faces(
    rgb: UInt8[np.ndarray, "height width 3"], networks: Networks, region: Box | None = None
) -> list[tuple[Box, float]]:
    """Face boxes in px with scores, from two face detectors: one for far faces, one for near faces."""
    height, width = rgb.shape[:2]
    crop = cut(
        rgb,
        np.array([0, 0, width, height]) if region is None else region,
        SURVEY_PIXELS,
        0 if region is None else SURVEY_PIXELS,
    )
    faces: list[tuple[Box, float]] = []
    for detector in (FAR_FACES, NEAR_FACES):
        for face in detect(crop.rgb, detector, networks, FACE_SCORE):
            box = crop.to_source(face.box.reshape(2, 2)).ravel().astype(float)
            faces += _unless_known((box, face.score), faces)
    return faces


def _first_sure_faces(
    rgb: UInt8[np.ndarray, "height width 3"], networks: Networks, parts: list[Box]
) -> list[tuple[Box, float]]:
    """The faces of the first region that has faces of LONE_FACE_SCORE: enlarged texture gives faces of 0.5 to 0.65."""
    for part in parts:
        sure = [face for face in find_faces(rgb, networks, part) if face[1] >= LONE_FACE_SCORE]
        if sure:
            return sure
    return []


def _unless_known(face: tuple[Box, float], known: list[tuple[Box, float]]) -> list[tuple[Box, float]]:
    """The face, unless its centre lies in a known face or the centre of a known face lies in it."""
    centre = (face[0][:2] + face[0][2:]) / 2
    is_known = any(contains(face[0], (box[:2] + box[2:]) / 2) or contains(box, centre) for box, _ in known)
    return [] if is_known else [face]


def tiles(width: int, height: int) -> list[Box]:
    """Overlapping parts of the picture, of half and then a third of its size, to find people who are small in it."""
    boxes = []
    for parts in (2, 3):
        w, h = width / parts, height / parts
        steps = np.linspace(0, parts - 1, 2 * parts - 1)
        boxes += [np.array([w * i, h * j, w * (i + 1), h * (j + 1)]) for j in steps for i in steps]
    return boxes


def face_region(face: Box) -> Box:
    """The region in which the body of a face may be."""
    side, above, below = FACE_REGION
    x, y, size = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2, face[3] - face[1]
    return np.array([x - side * size, y - above * size, x + side * size, y + below * size])


def _detect_pose(
    rgb: UInt8[np.ndarray, "height width 3"], box: Box, networks: Networks
) -> Float[np.ndarray, "33 3"] | None:
    crop = cut(rgb, box, SURVEY_PIXELS)
    pose = None if is_too_small(crop.rgb) else find_pose(crop.rgb, networks)
    return None if pose is None else crop.to_source(pose.points)


def _is_pose_of(pose: Float[np.ndarray, "33 3"], face: Box) -> bool:
    centre, size = (face[:2] + face[2:]) / 2, face[3] - face[1]
    return bool(np.linalg.norm(pose[0, :2] - centre) < NEAR_FACE * size)


def _detection_from_face(frame: int, face: tuple[Box, float], pose, width: int, height: int) -> PersonDetection:
    box, score = face
    size = float(box[3] - box[1])
    seen = union_box(np.stack([np.asarray(box, float) + 0.5 * size * np.array([-1, -1, 1, 1]), _half_body(box)]))
    if pose is not None:
        seen = union_box(np.stack([seen, _visible_box(pose, size)]))
    return PersonDetection(frame, (box[:2] + box[2:]) / 2, size, _clipped(seen, width, height), True, score)


def _half_body(face: Box) -> Box:
    x, y, size = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2, face[3] - face[1]
    return np.array([x - 1.6 * size, y - 1.2 * size, x + 1.6 * size, y + 2.2 * size])


def _visible_box(pose: Float[np.ndarray, "33 3"], size: float) -> Box:
    return (
        bounding_box(pose[pose[:, 2] > 0.3]) + 0.6 * size * np.array([-1, -1, 1, 1])
        if np.any(pose[:, 2] > 0.3)
        else (bounding_box(pose[:1]))
    )


def _clipped(box: Box, width: int, height: int) -> Box:
    return np.clip(box, 0, [width, height, width, height]).astype(float)


def _detection_without_face(
    rgb: UInt8[np.ndarray, "height width 3"], frame: int, pose, networks: Networks
) -> PersonDetection | None:
    """A person from a pose without a face, if the matte of the picture shows a person at the torso."""
    height, width = rgb.shape[:2]
    size = float(np.linalg.norm(pose[11, :2] - pose[12, :2])) / SHOULDERS_PER_HEAD
    torso_height = float(np.linalg.norm(pose[[11, 12], :2].mean(0) - pose[[23, 24], :2].mean(0)))
    size = max(size, torso_height / 2.6)
    box = _clipped(_visible_box(pose, size), width, height)
    if size < 8 or np.any(box[2:] - box[:2] < 16):
        return None
    matte = person_matte(rgb, None, networks)
    rows = _torso_samples(pose)
    if matte_at(matte, rows) < MATTE_OF_A_BODY:
        return None
    return PersonDetection(frame, pose[:11, :2].mean(0), size, box, False, float(pose[TORSO, 2].mean()))


def _torso_samples(pose: Float[np.ndarray, "33 3"]) -> Float[np.ndarray, "samples 2"]:
    """Points inside the torso's quadrilateral."""
    left, right, left_hip, right_hip = pose[TORSO, :2]
    steps = np.linspace(0.15, 0.85, 4)
    across = [(1 - s) * left + s * right for s in steps], [(1 - s) * left_hip + s * right_hip for s in steps]
    return np.array([(1 - t) * a + t * b for t in (0.1, 0.35, 0.6) for a, b in zip(*across, strict=True)])
