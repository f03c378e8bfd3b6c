"""Contacts in another body: found, kept, and what it costs, against the plain swap of the body shape.

    python -m benchmarks.contacts [--drivers N] [--pairs N] [--write]

Seven made motions (contact_motions) are solved on each of 20 bodies, so that it is known which points touch and when.
Each is retargeted to other bodies, once by the plain swap and once with the contacts that `find_contacts` finds in it.
`gap` is the distance of the known points; `kept` says how many are within 15 mm (the mean over their rows). `inside`
counts frames in which a vertex of a hand or forearm lies deeper in another part's mesh than any does in the driver, by
more than 5 mm; every tenth row.
`turned` is the median angle, over the body's 21 joints, in rows more than 0.8 s from a known contact. `acceleration`
compares that of elbows and wrists with the plain swap's. Time is that of the processor, over all cores.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from benchmarks.contact_motions import FPS, Made, apart, bodies, make, scripts
from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.contacts import CONTACT_PARTS, Contacts
from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.rotations import rotvec_from_matrix
from stages.body.store import open_body
from stages.body.surface import closest_on_surface
from stages.contacts.find import find_contacts
from stages.contacts.keep import Swap, keep_contacts
from stages.contacts.parts import MAY_TOUCH, PART_OF_PIECE, piece_of_vertices
from stages.contacts.surface import rotations_of, sample_surface
from stages.raster.shading import vertex_normals

KEPT_M, DEEP_M, NEAR_M, EVERY = 0.015, 0.005, 0.04, 10
APART_ROWS = round(0.8 * FPS)
COLUMNS = (
    Column("motion", "motion"), Column("clips", "clips", digits=0), Column("found", "contacts found", "%"),
    Column("gap_driver", "gap in the driver", "mm"), Column("gap_swap", "gap, plain swap", "mm"),
    Column("gap_kept", "gap, kept", "mm"), Column("kept_swap", "within 15 mm, plain swap", "%"),
    Column("kept", "within 15 mm, kept", "%"), Column("inside_swap", "inside, plain swap", "% of frames"),
    Column("inside", "inside, kept", "% of frames"), Column("turned", "turned without contact, median", "degrees", 2),
    Column("acceleration", "acceleration", "times the swap's", 2), Column("ms", "find and keep", "ms per frame"),
)  # fmt: skip
ARMS = [JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("elbow", "wrist")]


def case(body: Body, made: Made, betas: Float[np.ndarray, "10"]) -> dict[str, list[float]]:
    """One motion in one other body: a list of values per column."""
    driver = made.motion
    swap = replace(driver, betas=betas)
    began = time.process_time()
    contacts = find_contacts(driver, body)
    kept = keep_contacts(Swap.of(driver, swap, body), contacts)
    seconds = time.process_time() - began
    gaps = [apart(body, made, motion) for motion in (driver, swap, kept)]
    per_touch = [np.nanmean(gap, 0) for gap in gaps]
    depths = [depths_of(body, motion) for motion in (driver, swap, kept)]
    allowed = np.maximum(depths[0], 0.0) + DEEP_M
    turned = np.degrees(turned_by(swap, kept))
    return {
        "found": _found(body, made, contacts),
        **{f"gap_{of}": (1e3 * gap).tolist() for of, gap in zip(("driver", "swap", "kept"), per_touch, strict=True)},
        "kept_swap": (100.0 * (per_touch[1] < KEPT_M)).tolist(),
        "kept": (100.0 * (per_touch[2] < KEPT_M)).tolist(),
        "inside_swap": (100.0 * (depths[1] > allowed)).tolist(),
        "inside": (100.0 * (depths[2] > allowed)).tolist(),
        "turned": turned[_without_contact(made, len(driver)), 1:22].ravel().tolist(),
        "acceleration": [_acceleration(body, kept) / _acceleration(body, swap)],
        "ms": [1e3 * seconds / len(driver)],
    }  # fmt: skip


def turned_by(before: Motion, after: Motion) -> Float[np.ndarray, "frames 55"]:
    """The angle between each joint's rotations, radians."""
    between = np.swapaxes(rotations_of(before), -1, -2) @ rotations_of(after)
    return np.linalg.norm(rotvec_from_matrix(between), axis=-1)


def _found(body: Body, made: Made, contacts: Contacts) -> list[float]:
    """100 for each known contact that a found contact of the same parts overlaps in time, else 0."""
    pieces = piece_of_vertices(body)
    result = []
    for pair, (begin, end) in zip(made.vertices, made.rows, strict=True):
        parts = sorted(PART_OF_PIECE[pieces[vertex]] for vertex in pair)
        hit = (np.sort(contacts.parts, 1) == parts).all(1) & (contacts.rows[:, 0] < end) & (contacts.rows[:, 1] > begin)
        result.append(100.0 * bool(hit.any()))
    return result


def _without_contact(made: Made, frames: int) -> Int[np.ndarray, "rows"]:
    near = np.zeros(frames, bool)
    for begin, end in made.rows:
        near[max(0, begin - APART_ROWS) : end + APART_ROWS] = True
    return np.flatnonzero(~near)


def depths_of(body: Body, motion: Motion) -> Float[np.ndarray, "rows"]:
    """How deep the deepest vertex of hands and forearms is in another part's mesh, metres; every EVERY-th row.

    Measured on the whole mesh: height above the nearest triangle, along its interpolated normal.
    """
    pieces = piece_of_vertices(body)
    vertices = pose_motion(body, motion, slice(None, None, EVERY)).vertices.astype(np.float64)
    return np.array([_deepest(body, pieces, each) for each in vertices])


def _deepest(body: Body, pieces: np.ndarray, vertices: Float[np.ndarray, "vertices 3"]) -> float:
    from scipy.spatial import KDTree

    normals, depth = vertex_normals(vertices, body.faces), 0.0
    for side in ("left", "right"):
        mine = [n for n in np.flatnonzero(MAY_TOUCH.any(1)) if CONTACT_PARTS[PART_OF_PIECE[n]].startswith(side)]
        queries = np.flatnonzero(np.isin(pieces, mine))
        others = np.flatnonzero(MAY_TOUCH[mine[0]])
        faces = body.faces[np.isin(pieces[body.faces], others).all(1)]
        queries = queries[KDTree(vertices[np.unique(faces)]).query(vertices[queries])[0] < NEAR_M]
        if not len(queries):
            continue
        near, weights = closest_on_surface(vertices[queries], vertices, faces)
        corners = faces[near]
        apart = vertices[queries] - (weights[..., None] * vertices[corners]).sum(1)
        out = (weights[..., None] * normals[corners]).sum(1)
        height = (apart * out).sum(-1) / np.maximum(np.linalg.norm(out, axis=-1), 1e-9)
        depth = max(depth, float(-height.min()))
    return depth


def _acceleration(body: Body, motion: Motion) -> float:
    joints = pose_motion(body, motion).joints[:, ARMS]
    return float(np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).mean())


def main() -> None:
    """Print and record one row per motion, and all together."""
    parser = arguments(__doc__)
    parser.add_argument("--pairs", type=int, default=3, help="other bodies per driver, of 19")
    parser.add_argument("--drivers", type=int, default=20, help="driving bodies: 20, or every second, fourth ...")
    options = parser.parse_args()
    body, people = open_body(), bodies()
    sampling, random = sample_surface(body), np.random.default_rng(1)
    others = [random.permutation([n for n in range(20) if n != driver])[: options.pairs] for driver in range(20)]
    together: dict[str, list[float]] = {}
    clips = 0
    with Recorder("Contacts of made motions in other bodies.", *COLUMNS, keep=options) as found:
        for script in scripts():
            cells: dict[str, list[float]] = {}
            for driver in range(0, 20, 20 // options.drivers):
                made = make(body, people[driver][1], script, sampling)
                for other in others[driver]:
                    for key, values in case(body, made, people[other][1]).items():
                        cells.setdefault(key, []).extend(values)
                        together.setdefault(key, []).extend(values)
                    clips += 1
            found.row(motion=script.name, clips=options.drivers * options.pairs, **_summary(cells))
        found.row(motion="all", clips=clips, **_summary(together))


def _summary(cells: dict[str, list[float]]) -> dict[str, float | None]:
    """Means, and the median angle; None where nothing was measured (no row far enough from a contact)."""
    means = {key: float(np.mean(values)) for key, values in cells.items() if key != "turned"}
    return {**means, "turned": float(np.median(cells["turned"])) if cells["turned"] else None}


if __name__ == "__main__":
    main()
