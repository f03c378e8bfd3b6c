"""Who is in one picture: faces, bodies, and which belong together. Pixels of the picture throughout.

Bodies without a face count only where the selfie matte agrees, because the pose network finds people in furniture.
Knows nothing of time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import Box, around, contains, cut, overlap, union
from stages.detect.matte import matte_at, person_matte
from stages.detect.networks import Networks

SURVEY_PIXELS = 640
"""Longer side of the picture in which people are looked for."""
FACE_REGION = (3.2, 1.6, 7.0)
"""Room for a body around a face, in face heights: to each side, above, below its centre (notes/tracker: crop)."""
NEAR_FACE = 0.6
"""A pose belongs to a face when its nose is within this many face heights of the face's centre."""
MATTE_OF_A_BODY = 0.3
"""A faceless pose is a person when the matte at its torso is at least this; furniture has .00 to .02 (clip d9)."""
SHOULDERS_PER_HEAD = 1.9
"""Shoulder width over face-box height, to size people whose face is not seen."""
TORSO = [11, 12, 23, 24]
LONE_FACE_SCORE = 0.7
"""A face that no pose confirms needs this; the near detector sees faces in fists and laps at .5 to .7 (d1, d8)."""


@dataclass(frozen=True)
class Sighting:
    """One person in one frame: head centre and height in px, the box of all that was seen, and how sure."""

    frame: int
    head: Float[np.ndarray, "2"]
    head_height: float
    box: Box
    has_face: bool
    score: float


def sight(
    rgb: UInt8[np.ndarray, "height width 3"], frame: int, networks: Networks, closer: list[Box] | None = None
) -> list[Sighting]:
    """Everybody in one picture, largest head first. Where nobody is seen, the parts `closer` are enlarged in turn."""
    height, width = rgb.shape[:2]
    whole = np.array([0, 0, width, height], float)
    faces = find_faces(rgb, networks)
    pose = _fresh_pose(rgb, whole, networks)
    bare = None
    if pose is not None and not any(_is_pose_of(pose, face[0]) for face in faces):
        bare, pose = _faceless(rgb, frame, pose, networks), None
    if not faces and bare is None:
        faces = _first_sure_faces(rgb, networks, closer or [])
    found, lone = [], []
    for face in faces:
        own = pose if pose is not None and _is_pose_of(pose, face[0]) else None
        if own is None:
            own = _fresh_pose(rgb, face_region(face[0]), networks)
            own = own if own is not None and _is_pose_of(own, face[0]) else None
        (lone if own is None else found).append(_sighting(frame, face, own, width, height))
    found += [s for s in lone if s.score >= LONE_FACE_SCORE and not any(contains(o.box, s.head) for o in found)]
    if bare is not None and all(overlap(bare.box, other.box) < 0.5 for other in found):
        found.append(bare)
    return sorted(found, key=lambda s: -s.head_height)


def find_faces(
    rgb: UInt8[np.ndarray, "height width 3"], networks: Networks, region: Box | None = None
) -> list[tuple[Box, float]]:
    """Face boxes in px with scores, from both face detectors: one sees far faces, the other near ones."""
    height, width = rgb.shape[:2]
    crop = cut(
        rgb,
        np.array([0, 0, width, height]) if region is None else region,
        SURVEY_PIXELS,
        0 if region is None else SURVEY_PIXELS,
    )
    x0, y0, x1, y1 = crop.box
    faces: list[tuple[Box, float]] = []
    for name in ("faces_far", "faces_near"):
        for detection in networks.run(name, crop.rgb).detections or []:
            r = detection.location_data.relative_bounding_box
            corners = np.array([[r.xmin, r.ymin], [r.xmin + r.width, r.ymin + r.height]])
            box = (corners * (x1 - x0, y1 - y0) + (x0, y0)).ravel()
            faces += _unless_known((box, float(detection.score[0])), faces)
    return faces


def _first_sure_faces(
    rgb: UInt8[np.ndarray, "height width 3"], networks: Networks, parts: list[Box]
) -> list[tuple[Box, float]]:
    """The faces of the first part that shows some at LONE_FACE_SCORE: enlarged texture has faces of .5 to .65."""
    for part in parts:
        sure = [face for face in find_faces(rgb, networks, part) if face[1] >= LONE_FACE_SCORE]
        if sure:
            return sure
    return []


def _unless_known(face: tuple[Box, float], known: list[tuple[Box, float]]) -> list[tuple[Box, float]]:
    """The face, unless its centre lies in a known one or the other way round."""
    centre = (face[0][:2] + face[0][2:]) / 2
    is_known = any(contains(face[0], (box[:2] + box[2:]) / 2) or contains(box, centre) for box, _ in known)
    return [] if is_known else [face]


def tiles(width: int, height: int) -> list[Box]:
    """Overlapping parts of the picture, half and then a third of its size, for people too small to be seen in it."""
    boxes = []
    for parts in (2, 3):
        w, h = width / parts, height / parts
        steps = np.linspace(0, parts - 1, 2 * parts - 1)
        boxes += [np.array([w * i, h * j, w * (i + 1), h * (j + 1)]) for j in steps for i in steps]
    return boxes


def face_region(face: Box) -> Box:
    """Where the body of a face may be."""
    side, above, below = FACE_REGION
    x, y, size = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2, face[3] - face[1]
    return np.array([x - side * size, y - above * size, x + side * size, y + below * size])


def _fresh_pose(
    rgb: UInt8[np.ndarray, "height width 3"], box: Box, networks: Networks
) -> Float[np.ndarray, "33 3"] | None:
    crop = cut(rgb, box, SURVEY_PIXELS)
    if min(crop.rgb.shape[:2]) < 16:
        return None
    return crop.points(networks.run("pose", crop.rgb).pose_landmarks, "visibility")


def _is_pose_of(pose: Float[np.ndarray, "33 3"], face: Box) -> bool:
    centre, size = (face[:2] + face[2:]) / 2, face[3] - face[1]
    return bool(np.linalg.norm(pose[0, :2] - centre) < NEAR_FACE * size)


def _sighting(frame: int, face: tuple[Box, float], pose, width: int, height: int) -> Sighting:
    box, score = face
    size = float(box[3] - box[1])
    seen = union(np.stack([np.asarray(box, float) + 0.5 * size * np.array([-1, -1, 1, 1]), _half_body(box)]))
    if pose is not None:
        seen = union(np.stack([seen, _visible_box(pose, size)]))
    return Sighting(frame, (box[:2] + box[2:]) / 2, size, _clipped(seen, width, height), True, score)


def _half_body(face: Box) -> Box:
    x, y, size = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2, face[3] - face[1]
    return np.array([x - 1.6 * size, y - 1.2 * size, x + 1.6 * size, y + 2.2 * size])


def _visible_box(pose: Float[np.ndarray, "33 3"], size: float) -> Box:
    return (
        around(pose[pose[:, 2] > 0.3]) + 0.6 * size * np.array([-1, -1, 1, 1])
        if np.any(pose[:, 2] > 0.3)
        else (around(pose[:1]))
    )


def _clipped(box: Box, width: int, height: int) -> Box:
    return np.clip(box, 0, [width, height, width, height]).astype(float)


def _faceless(rgb: UInt8[np.ndarray, "height width 3"], frame: int, pose, networks: Networks) -> Sighting | None:
    """A pose without a face, where the matte of the whole picture or of its own box says person."""
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
    return Sighting(frame, pose[:11, :2].mean(0), size, box, False, float(pose[TORSO, 2].mean()))


def _torso_samples(pose: Float[np.ndarray, "33 3"]) -> Float[np.ndarray, "samples 2"]:
    """Points inside the torso's quadrilateral."""
    left, right, left_hip, right_hip = pose[TORSO, :2]
    steps = np.linspace(0.15, 0.85, 4)
    across = [(1 - s) * left + s * right for s in steps], [(1 - s) * left_hip + s * right_hip for s in steps]
    return np.array([(1 - t) * a + t * b for t in (0.1, 0.35, 0.6) for a, b in zip(*across, strict=True)])
