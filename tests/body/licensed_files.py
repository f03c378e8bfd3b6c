"""Files in the exact layouts of SMPL-X, FLAME and their companions, made from the open body. No licensed data is used.

The "SMPL-X" is the open body with one shape space for body and head together; the "FLAME" is a larger, shifted head of
another shape, with its own numbering, five joints and pose correctives.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from stages.body.joint_regressor import least_norm
from stages.body.model import JOINT_NAMES, Body

SHAPES, HEAD_SHAPES, EXPRESSIONS = 10, 20, 50
NECK, HEAD, JAW, EYES = 12, 15, 22, (23, 24)


@dataclass(frozen=True)
class Models:
    """Both models' arrays by their published names, and which vertices they share."""

    smplx: dict[str, np.ndarray]
    flame: dict[str, np.ndarray]
    ids: np.ndarray
    lowerhead: np.ndarray
    eyelids: dict[str, np.ndarray]


def models(body: Body) -> Models:
    """The two models of the module docstring, made from the open body."""
    random = np.random.default_rng(7)
    member = body.weights[:, [NECK, HEAD, JAW, *EYES]].sum(1) > 0.6
    member &= body.v_template[:, 1] > (body.J_regressor @ body.v_template)[NECK, 1]
    ids = random.permutation(np.flatnonzero(member))
    head = np.flatnonzero(body.weights[ids, NECK] < 0.4)
    lowerhead = np.setdiff1d(np.arange(len(ids)), head)
    blink = {
        side: body.exprdirs[ids, :, body.expression_names.index(f"eyeBlink{side.title()}")]
        for side in ("left", "right")
    }
    return Models(_smplx(body, random), _flame(body, ids, random), ids, lowerhead, blink)


def _smplx(body: Body, random: np.random.Generator) -> dict[str, np.ndarray]:
    shapedirs = np.zeros((len(body.v_template), 3, 400), np.float32)
    first = body.num_betas
    shapedirs[..., :SHAPES] = body.shapedirs[..., :SHAPES] + 0.5 * body.shapedirs[..., first : first + SHAPES]
    shapedirs[..., 300:310] = body.exprdirs[..., :10]
    posedirs = np.zeros((len(body.v_template), 3, 486), np.float32)
    for joint in range(1, 55):
        blend = random.normal(0, 0.002, (3, 9))
        posedirs[..., 9 * (joint - 1) : 9 * joint] = body.weights[:, joint, None, None] * blend
    tree = np.array([body.parents, range(55)], np.uint32)
    return {
        "v_template": body.v_template.astype(np.float64), "shapedirs": shapedirs, "posedirs": posedirs,
        "J_regressor": body.J_regressor.astype(np.float64), "weights": body.weights.astype(np.float64),
        "f": body.faces.astype(np.uint32), "kintree_table": tree, "vt": np.zeros((4, 2)), "ft": np.zeros((2, 3), int),
        "hands_meanl": random.normal(size=45), "hands_meanr": random.normal(size=45),
        "hands_componentsl": np.eye(45), "hands_componentsr": np.eye(45),
        "joint2num": np.array({name: number for number, name in enumerate(JOINT_NAMES)}, dtype=object),
        "part2num": np.array({"pelvis": 0}, dtype=object),
    }  # fmt: skip


def _flame(body: Body, ids: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
    first = body.num_betas
    shape = np.zeros(body.shapedirs.shape[2])
    shape[first : first + 8] = random.normal(0, 0.8, 8)
    joints = body.J_regressor @ (body.v_template + body.shapedirs @ shape)
    origin = joints[HEAD]
    vertices = 1.06 * ((body.v_template + body.shapedirs @ shape)[ids] - origin)
    shapedirs = np.zeros((len(ids), 3, 400))
    shapedirs[..., :HEAD_SHAPES] = (
        1.06 * body.shapedirs[ids, :, first : first + HEAD_SHAPES] + [[[0.001]], [[0]], [[0]]][0]
    )
    shapedirs[..., 300 : 300 + EXPRESSIONS] = body.exprdirs[ids][..., :EXPRESSIONS]
    weights = np.zeros((len(ids), 5))
    weights[:, 2:] = body.weights[ids][:, [JAW, *EYES]]
    weights[:, 1] = 1 - weights.sum(1)
    posedirs = np.zeros((len(ids), 3, 36))
    for joint in (1, 2, 3, 4):
        posedirs[..., 9 * (joint - 1) : 9 * joint] = weights[:, joint, None, None] * random.normal(0, 0.001, (3, 9))
    places = 1.06 * (joints[[0, NECK, JAW, *EYES]] - origin)
    places[0] = [0, -0.15, 0]
    regressor = np.array([_regressor(place, vertices, shapedirs[..., 300:350]) for place in places])
    corner = np.full(len(body.v_template), -1)
    corner[ids] = np.arange(len(ids))
    faces = corner[body.faces]
    return {
        "v_template": vertices, "shapedirs": shapedirs, "posedirs": posedirs, "J_regressor": regressor,
        "weights": weights, "f": faces[(faces >= 0).all(1)].astype(np.uint32),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], range(5)], np.int64),
    }  # fmt: skip


def _regressor(place: np.ndarray, vertices: np.ndarray, expressions: np.ndarray) -> np.ndarray:
    """Regressor weights that average to a place and hardly follow expressions, as FLAME's."""
    ease = 1 / (np.linalg.norm(vertices - place, axis=1) + 0.01)
    flat = expressions.transpose(2, 1, 0).reshape(-1, len(vertices))
    system = np.concatenate([(vertices - place).T, np.ones((1, len(vertices))), flat])
    return ease * least_norm(system * ease, np.array([0, 0, 0, 1.0, *np.zeros(len(flat))]))


def write_files(made: Models, folder: Path) -> dict[str, Path]:
    """Write the files in their published layouts; return name in `emosh models` -> path."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        "smplx": folder / "SMPLX_NEUTRAL_2020.npz", "flame": folder / "generic_model.pkl",
        "flame-ids": folder / "SMPL-X__FLAME_vertex_ids.npy", "eyelid-left": folder / "l_eyelid.npy",
        "eyelid-right": folder / "r_eyelid.npy", "flame-lowerhead": folder / "selected_lowerhead.npy",
    }  # fmt: skip
    np.savez(paths["smplx"], **made.smplx)
    write_flame_pickle(made.flame, paths["flame"])
    np.save(paths["flame-ids"], made.ids)
    np.save(paths["flame-lowerhead"], made.lowerhead)
    for side in ("left", "right"):
        np.save(paths[f"eyelid-{side}"], made.eyelids[side])
    return paths


def write_flame_pickle(arrays: dict[str, np.ndarray], path: Path) -> None:
    """FLAME's own layout: chumpy objects, a scipy sparse regressor, protocol 2. A stand-in module replaces chumpy."""
    from scipy.sparse import csc_matrix

    module = ModuleType("chumpy.ch")
    Ch = type("Ch", (), {"__module__": "chumpy.ch", "__qualname__": "Ch"})
    vars(module)["Ch"] = Ch
    content: dict = {"bs_style": "lbs", "bs_type": "lrotmin", "J_regressor": csc_matrix(arrays["J_regressor"])}
    for name, array in arrays.items():
        if name in ("v_template", "shapedirs"):
            content[name] = Ch()
            vars(content[name]).update(x=array, _dirty_vars={"x"})
        elif name != "J_regressor":
            content[name] = array
    sys.modules |= {"chumpy": ModuleType("chumpy"), "chumpy.ch": module}
    try:
        path.write_bytes(pickle.dumps(content, protocol=2))
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]
