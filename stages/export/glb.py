"""A motion as GLB: the skinned, animated person with facial actions as morph targets. Any glTF viewer plays it.

Frame: y up, metres, facing +z, as glTF requires. Each vertex keeps its four strongest skin weights, because viewers
read only four. glTF cannot store a body file's pose correctives, so they are left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import VERSION, Provenance
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec
from stages.drawing.skin import skin_colours
from stages.export.amass import export_provenance
from stages.export.glb_buffer import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, Buffer, write_glb
from stages.export.skeleton import local_rotations, rest_joints, root_positions
from stages.export.upright import UprightMotion, hold_before_cuts, upright_motion
from stages.progress import Progress, silent
from stages.raster.shading import vertex_normals

PERSON, CAMERA = len(JOINT_NAMES), len(JOINT_NAMES) + 1
"""Nodes behind those of the joints."""
FAR_M, NEAR_M = 1000.0, 0.05
"""The camera's clipping planes, metres."""
INFLUENCES = 4
STILL_M = 1e-6
"""Morph target offsets below this are dropped, metres."""


def export_glb(
    path: Path, motion: Motion, body: Body, fps: int | None = None, progress: Progress = silent
) -> tuple[int, float]:
    """Write the motion at `fps`, or at its own times (None). Returns (key frames, seconds).

    Raises InputError for a motion of another body file.
    """
    samples = hold_before_cuts(upright_motion(motion, body, fps, progress))
    buffer = Buffer()
    document = {
        "asset": _asset(export_provenance(motion, body, "glb", {"fps": fps})),
        "scene": 0,
        "scenes": [{"name": "emosh", "nodes": [0, PERSON, CAMERA]}],
        "nodes": [*_joint_nodes(body, samples), {"name": "person", "mesh": 0, "skin": 0}, _camera_node(samples)],
        "cameras": [_camera(samples)],
        "meshes": [_mesh(buffer, body, samples)],
        "skins": [_skin(buffer, body, samples)],
        "materials": [
            {
                "name": "body",
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.75},
                "doubleSided": True,
            }
        ],
        "animations": [_animation(buffer, body, samples)],
    }
    write_glb(path, document, buffer)
    return len(samples), float(samples.times[-1])


def strongest_influences(
    weights: Float[np.ndarray, "vertices 55"],
) -> tuple[UInt8[np.ndarray, "vertices 4"], Float[np.ndarray, "vertices 4"]]:
    """Joints and weights of each vertex's four strongest influences; weights sum to 1, unused ones are joint 0 at 0."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    kept = np.take_along_axis(weights, joints, 1)
    kept = kept / kept.sum(1, keepdims=True)
    return np.where(kept > 0, joints, 0).astype(np.uint8), kept.astype(np.float32)


def _asset(provenance: Provenance) -> dict[str, Any]:
    extras = {"emosh_provenance": json.loads(provenance.to_json())}
    return {"version": "2.0", "generator": f"emosh {VERSION}", "extras": extras}


def _joint_nodes(body: Body, samples: UprightMotion) -> list[dict[str, Any]]:
    """Nodes 0 to 54: the joints in the first sample's pose."""
    rest = rest_joints(body, samples)
    turns = quaternions(samples)[0]
    nodes: list[dict[str, Any]] = []
    for joint, (name, parent) in enumerate(zip(JOINT_NAMES, body.parents.tolist(), strict=True)):
        place = root_positions(body, samples)[0] if parent < 0 else rest[joint] - rest[parent]
        node: dict[str, Any] = {"name": name, "translation": place.tolist(), "rotation": turns[joint].tolist()}
        children = np.flatnonzero(body.parents == joint).tolist()
        nodes.append({**node, "children": children} if children else node)
    return nodes


def _camera(samples: UprightMotion) -> dict[str, Any]:
    """The camera with the first sample's field of view. glTF cannot animate it: `extras.yfov` has that of every key."""
    perspective = {"yfov": float(samples.yfov[0]), "aspectRatio": samples.aspect, "znear": NEAR_M, "zfar": FAR_M}
    zooms = {"extras": {"yfov": samples.yfov.tolist()}} if np.ptp(samples.yfov) else {}
    return {"name": "camera", "type": "perspective", "perspective": perspective, **zooms}


def _camera_node(samples: UprightMotion) -> dict[str, Any]:
    turn = camera_quaternions(samples)[0].tolist()
    return {"name": "camera", "camera": 0, "translation": samples.camera_trans[0].tolist(), "rotation": turn}


def camera_quaternions(samples: UprightMotion) -> Float[np.ndarray, "samples 4"]:
    """The camera's rotations as `quaternions`."""
    return _quaternions(matrix_from_rotvec(samples.camera_rotvec.astype(np.float64))[:, None])[:, 0]


def quaternions(samples: UprightMotion) -> Float[np.ndarray, "samples 55 4"]:
    """Local rotations as x, y, z, w; of q and -q, the one nearer to the sample before is taken."""
    return _quaternions(local_rotations(samples))


def _quaternions(turns: Float[np.ndarray, "samples nodes 3 3"]) -> Float[np.ndarray, "samples nodes 4"]:
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_quat().reshape(*turns.shape[:2], 4)
    flips = np.sign((turns[1:] * turns[:-1]).sum(-1))
    turns[1:] *= np.cumprod(np.where(flips == 0, 1, flips), 0)[..., None]
    return turns.astype(np.float32)


def _mesh(buffer: Buffer, body: Body, samples: UprightMotion) -> dict[str, Any]:
    vertices = samples.template.astype(np.float32)
    joints, weights = strongest_influences(body.weights)
    faces = body.faces.astype(np.uint16 if len(vertices) < 65535 else np.uint32).reshape(-1)
    attributes = {
        "POSITION": buffer.add(vertices, ARRAY_BUFFER, bounds=True),
        "NORMAL": buffer.add(vertex_normals(vertices, body.faces), ARRAY_BUFFER),
        "COLOR_0": buffer.add(skin_colours(body), ARRAY_BUFFER, normalized=True),
        "JOINTS_0": buffer.add(joints, ARRAY_BUFFER),
        "WEIGHTS_0": buffer.add(weights, ARRAY_BUFFER),
    }
    targets = [{"POSITION": _morph_target(buffer, body, column)} for column in range(len(body.expression_names))]
    primitive = {
        "attributes": attributes,
        "indices": buffer.add(faces, ELEMENT_ARRAY_BUFFER),
        "material": 0,
        "targets": targets,
    }
    first = (samples.head_scale * samples.expression[0]).tolist()
    return {
        "name": "person",
        "primitives": [primitive],
        "weights": first,
        "extras": {"targetNames": list(body.expression_names)},
    }


def _morph_target(buffer: Buffer, body: Body, column: int) -> int:
    """The morph target of one facial action: the vertices that it moves, and their offsets in metres."""
    offsets = body.exprdirs[:, :, column]
    rows: Int[np.ndarray, "moved"] = np.flatnonzero(np.abs(offsets).max(1) > STILL_M)
    return buffer.add_sparse(len(offsets), rows, offsets[rows])


def _skin(buffer: Buffer, body: Body, samples: UprightMotion) -> dict[str, Any]:
    """Inverse bind matrices move rest vertices to their joint; rest axes are the world's, so they only translate."""
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(JOINT_NAMES), 1, 1))
    inverse[:, 3, :3] = -rest_joints(body, samples)
    return {"name": "skeleton", "inverseBindMatrices": buffer.add(inverse), "joints": list(range(55)), "skeleton": 0}


def _animation(buffer: Buffer, body: Body, samples: UprightMotion) -> dict[str, Any]:
    """Root translation, rotation of every joint that moves, weights of the facial actions, and a camera that moves."""
    times = buffer.add(samples.times.astype(np.float32), bounds=True)
    turns = quaternions(samples)
    tracks = [(0, "translation", root_positions(body, samples).astype(np.float32))]
    tracks += [(joint, "rotation", turns[:, joint]) for joint in range(55) if np.ptp(turns[:, joint], axis=0).any()]
    if np.ptp(samples.camera_trans, axis=0).any():
        tracks.append((CAMERA, "translation", samples.camera_trans))
    if np.ptp(samples.camera_rotvec, axis=0).any():
        tracks.append((CAMERA, "rotation", camera_quaternions(samples)))
    if samples.expression.shape[1]:
        tracks.append((PERSON, "weights", (samples.head_scale * samples.expression).astype(np.float32).reshape(-1)))
    samplers, channels = [], []
    for node, path, values in tracks:
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        samplers.append({"input": times, "output": buffer.add(values), "interpolation": "LINEAR"})
    return {"name": "motion", "samplers": samplers, "channels": channels}
