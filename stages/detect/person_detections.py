"""Detect the people in one picture: faces, bodies, and which belong together. All values in pixels of the picture.

A body without a face counts only if the selfie matte agrees, because the pose network finds people in furniture.
Knows nothing of time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import Box, bounding_box, contains, cut, overlap, union_box
from stages.detect.look import Look, look_of
from stages.detect.matte import matte_at, person_matte
from stages.networks.detection import FAR_FACES, NEAR_FACES, detect
from stages.networks.opened import Networks, is_too_small
from stages.networks.pose import find_pose, find_poses

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
    look: Look


def detect_people(
    rgb: UInt8[np.ndarray, "height width 3"], frame: int, networks: Networks, closer: list[Box] | None = None
) -> list[PersonDetection]:
    """All people in one picture, largest head first. If nobody is found, the regions `closer` are searched too."""
    faces = find_faces(rgb, networks)
    poses = _detect_poses(rgb, networks)
    own = [next((pose for pose in poses if _is_pose_of(pose, face[0])), None) for face in faces]
    faceless = [pose for pose in poses if not any(pose is each for each in own)]
    bare = _detections_without_face(rgb, frame, faceless, networks)
    if not faces and not bare:
        faces = _first_sure_faces(rgb, networks, closer or [])
        own = [None] * len(faces)
    found, lone = [], []
    for face, pose in zip(faces, own, strict=True):
        pose = _pose_near_face(rgb, face[0], networks) if pose is None else pose
        (lone if pose is None else found).append(_detection_from_face(rgb, frame, face, pose))
    found += [s for s in lone if s.score >= LONE_FACE_SCORE and not any(contains(o.box, s.head) for o in found)]
    found += [each for each in bare if all(overlap(each.box, other.box) < 0.5 for other in found)]
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
            known = _same_face(box, faces)
            if known is None:
                faces.append((box, face.score))
            else:
                faces[known] = (faces[known][0], max(face.score, faces[known][1]))
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


def _same_face(box: Box, known: list[tuple[Box, float]]) -> int | None:
    """The number of the known face that this one is: the centre of one lies in the other."""
    centre = (box[:2] + box[2:]) / 2
    for number, (other, _) in enumerate(known):
        if contains(box, (other[:2] + other[2:]) / 2) or contains(other, centre):
            return number
    return None


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


def _detect_poses(rgb: UInt8[np.ndarray, "height width 3"], networks: Networks) -> list[Float[np.ndarray, "33 3"]]:
    """The poses in the whole picture."""
    crop = cut(rgb, np.array([0, 0, rgb.shape[1], rgb.shape[0]]), SURVEY_PIXELS)
    return [crop.to_source(pose.points) for pose in find_poses(crop.rgb, networks)]


def _pose_near_face(
    rgb: UInt8[np.ndarray, "height width 3"], face: Box, networks: Networks
) -> Float[np.ndarray, "33 3"] | None:
    """The most certain pose in the region of a face, if it is that person's."""
    crop = cut(rgb, face_region(face), SURVEY_PIXELS)
    found = None if is_too_small(crop.rgb) else find_pose(crop.rgb, networks, doubtful=True)
    pose = None if found is None else crop.to_source(found.points)
    return pose if pose is not None and _is_pose_of(pose, face) else None


def _is_pose_of(pose: Float[np.ndarray, "33 3"], face: Box) -> bool:
    centre, size = (face[:2] + face[2:]) / 2, face[3] - face[1]
    return bool(np.linalg.norm(pose[0, :2] - centre) < NEAR_FACE * size)


def _detection_from_face(
    rgb: UInt8[np.ndarray, "height width 3"],
    frame: int,
    face: tuple[Box, float],
    pose: Float[np.ndarray, "33 3"] | None,
) -> PersonDetection:
    box, score = face
    size, head = float(box[3] - box[1]), (box[:2] + box[2:]) / 2
    seen = union_box(np.stack([np.asarray(box, float) + 0.5 * size * np.array([-1, -1, 1, 1]), _half_body(box)]))
    if pose is not None:
        seen = union_box(np.stack([seen, _visible_box(pose, size)]))
    look = look_of(rgb, head, size, pose)
    return PersonDetection(frame, head, size, _clipped(seen, rgb.shape[1], rgb.shape[0]), True, score, look)


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


def _detections_without_face(
    rgb: UInt8[np.ndarray, "height width 3"], frame: int, poses: list[Float[np.ndarray, "33 3"]], networks: Networks
) -> list[PersonDetection]:
    """People from poses without a face, where the matte shows a person at the torso. Of bodies that overlap the largest
    is kept: a belly is found as a small body in the true one (f07)."""
    height, width = rgb.shape[:2]
    found: list[PersonDetection] = []
    if not poses:
        return found
    matte = person_matte(rgb, None, networks)
    for size, pose in sorted(((head_height_of(pose), pose) for pose in poses), key=lambda each: -each[0]):
        box, head = _clipped(_visible_box(pose, size), width, height), pose[:11, :2].mean(0)
        if size < 8 or np.any(box[2:] - box[:2] < 16) or any(overlap(box, other.box) > 0.5 for other in found):
            continue
        rows = _torso_samples(pose)
        if matte_at(matte, rows) < MATTE_OF_A_BODY and (
            matte_at(person_matte(rgb, box, networks), rows) < MATTE_OF_A_BODY
        ):
            continue
        score = float(pose[TORSO, 2].mean())
        found.append(PersonDetection(frame, head, size, box, False, score, look_of(rgb, head, size, pose)))
    return found


def head_height_of(pose: Float[np.ndarray, "33 3"]) -> float:
    """Height of the head by the shoulders or the torso, px."""
    shoulders = float(np.linalg.norm(pose[11, :2] - pose[12, :2])) / SHOULDERS_PER_HEAD
    return max(shoulders, float(np.linalg.norm(pose[[11, 12], :2].mean(0) - pose[[23, 24], :2].mean(0))) / 2.6)


def _torso_samples(pose: Float[np.ndarray, "33 3"]) -> Float[np.ndarray, "samples 2"]:
    """Points inside the torso's quadrilateral."""
    left, right, left_hip, right_hip = pose[TORSO, :2]
    steps = np.linspace(0.15, 0.85, 4)
    across = [(1 - s) * left + s * right for s in steps], [(1 - s) * left_hip + s * right_hip for s in steps]
    return np.array([(1 - t) * a + t * b for t in (0.1, 0.35, 0.6) for a, b in zip(*across, strict=True)])
