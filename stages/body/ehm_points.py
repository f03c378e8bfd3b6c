"""Keypoints of the ehm body, and the vertex sets that drawing needs, found from FLAME's skinning.

Face: rendered and detected as on the open body, then replaced by the published embedding on FLAME's triangles (105 of
MediaPipe's points, no irises) if the user has it. Body and hands: SMPL-X's joints, and the vertices that `smplx` uses
as ears, heels and toes (its vertex_ids), unchanged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stages.body.bake_open import face_keypoints
from stages.body.body_arrays import BodyParts, body_of
from stages.body.face_paint import lips_and_brows
from stages.body.keypoints import Anatomy, hand_keypoints, pose_keypoints
from stages.body.landmarks import Embedding, embed_face, open_template
from stages.body.licensed import Arrays
from stages.body.model import PART_NAMES, SET_NAMES
from stages.body.smplx_layout import SELECTED_VERTICES, joint
from stages.body.vertex_sets import iris_vertices
from stages.progress import Progress

LID_SHARE = 0.3
"""A vertex belongs to an eyelid when it moves at least this share of the eyelid's largest movement."""
_JOINT_POINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_VERTEX_POINTS = {"ear": "{letter}ear", "heel": "{upper}Heel", "big_toe": "{upper}BigToe"}


def with_vertex_sets(geometry: BodyParts, files: dict[str, Arrays]) -> BodyParts:
    """The body with SET_NAMES from FLAME's eyes and eyelids. FLAME has no mouth cavity, tongue, teeth or sockets."""
    vertices, ids, flame = geometry.v_template, files["flame-ids"]["ids"], files["flame"]
    sets = {name: np.zeros(len(vertices), bool) for name in SET_NAMES}
    for column, side in ((3, "left"), (4, "right")):
        ball = sets[f"{side}_eyeball"]
        ball[ids[flame["weights"][:, column] > 0.5]] = True
        sets[f"{side}_iris"] = ball & iris_vertices(vertices, ball)
        if f"eyelid-{side}" in files:
            moved = np.linalg.norm(files[f"eyelid-{side}"]["offsets"], axis=1)
            sets[f"{side}_eyelids"][ids[moved > LID_SHARE * moved.max()]] = True
    inner = sets["left_eyeball"] | sets["right_eyeball"]
    head = geometry.part == PART_NAMES.index("head")
    sets["face_skin"] = head & ~inner & (vertices[:, 2] > vertices[head & ~inner].mean(0)[2])
    return replace(geometry, sets=sets)


def with_keypoints(geometry: BodyParts, files: dict[str, Arrays], progress: Progress, seed: int = 0) -> BodyParts:
    """The body with face landmarks, lips, brows and all keypoints. Raises RuntimeError when no face is detected."""
    from stages.raster.rasterizer import rasterizer

    body = body_of(geometry)
    embedding = embed_face(body, rasterizer("numba"), progress, seed)
    template = open_template(body)
    lips, brows = lips_and_brows(body, template, embedding.points(template, body.faces))
    sets = geometry.sets | {"lips": lips, "left_brow": brows["left"], "right_brow": brows["right"]}
    if "flame-landmarks" in files:
        embedding = with_published_landmarks(embedding, geometry, files)
    face = face_keypoints(embedding, geometry)
    anatomy = Anatomy(geometry.v_template, geometry.weights, geometry.J_regressor @ geometry.v_template)
    by_number = {number: keypoint.weights for number, keypoint in enumerate(face)}
    pose = pose_keypoints(anatomy, pose_point_weights(geometry), by_number, measured=False)
    hands = [*hand_keypoints("left", anatomy, False), *hand_keypoints("right", anatomy, False)]
    return replace(geometry, sets=sets, keypoints=(*face, *pose, *hands), landmarks=embedding)


def pose_point_weights(geometry: BodyParts) -> dict[str, np.ndarray]:
    """Weights over vertices for MediaPipe's pose points, by anny's names."""
    rows: dict[str, np.ndarray] = {}
    for side in ("left", "right"):
        for name in _JOINT_POINTS:
            rows[f"{side}_{name}"] = geometry.J_regressor[joint(f"{side}_{name}")]
        for name, pattern in _VERTEX_POINTS.items():
            row = np.zeros(len(geometry.v_template))
            row[SELECTED_VERTICES[pattern.format(letter=side[0], upper=side[0].upper())]] = 1
            rows[f"{side}_{name}"] = row
    return rows


def with_published_landmarks(embedding: Embedding, geometry: BodyParts, files: dict[str, Arrays]) -> Embedding:
    """The embedding with the published points in place of the detected ones, where the body has their triangles."""
    published, ids = files["flame-landmarks"], files["flame-ids"]["ids"]
    corners = ids[files["flame"]["f"][published["lmk_face_idx"]]]
    row_of = {tuple(sorted(face)): row for row, face in enumerate(geometry.faces.tolist())}
    face, barycentric = embedding.face.copy(), embedding.barycentric.copy()
    for number, corner, weights in zip(
        published["landmark_indices"], corners.tolist(), published["lmk_b_coords"], strict=True
    ):
        row = row_of.get(tuple(sorted(corner)))
        if row is None:
            continue
        order = [corner.index(vertex) for vertex in geometry.faces[row].tolist()]
        face[number], barycentric[number] = row, weights[order]
    return replace(embedding, face=face, barycentric=barycentric)
