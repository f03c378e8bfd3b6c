"""Contacts in another body: found, kept, and what it costs, against the plain swap of the body shape.

    python -m benchmarks.contacts [--motions N] [--cases FOLDER] [--write]

Seven made motions (contact_motions) are solved on each of 20 bodies, so that it is known which points touch and when.
Every body drives each of the other 19, with `--motions` of the seven, dealt out so that each motion sees as many pairs:
once by the plain swap and once with the contacts that `find_contacts` finds. `--cases` keeps what each driver gave, and
a run that was stopped goes on behind the last one.
`gap` is the distance of the known points; `kept` says how many are within 15 mm (the mean over their rows). `inside`
counts frames in which a vertex of a hand or forearm lies deeper in another part's mesh than any does in the driver, by
more than 5 mm; every tenth row.
`turned` is the median angle, over the body's 21 joints, in rows more than 0.8 s from a known contact. `acceleration`
compares that of elbows and wrists with the plain swap's. Time is that of the processor, over all cores.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from benchmarks.contact_motions import FPS, Made, apart, bodies, make, scripts
from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.atomic import atomic_path
from stages.artifacts.contacts import CONTACT_PARTS, Contacts
from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.rotations import rotvec_from_matrix
from stages.body.store import open_body
from stages.body.surface import closest_on_surface
from stages.contacts.find import find_contacts
from stages.contacts.keep import Swap, keep_contacts
from stages.contacts.parts import MAY_TOUCH, PART_OF_PIECE, piece_of_vertices
from stages.contacts.surface import PUSHED_SAG_M, Sampling, rotations_of, sample_surface
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


@dataclass(frozen=True)
class Driven:
    """A made motion, and what is the same for every other body."""

    made: Made
    contacts: Contacts
    found: list[float]
    gap: Float[np.ndarray, "touches"]
    depths: Float[np.ndarray, "rows"]
    seconds: float
    """Processor time of finding the contacts."""

    @staticmethod
    def of(body: Body, made: Made) -> Driven:
        """Find the contacts, and measure the driver's own gaps and depths."""
        began = time.process_time()
        contacts = find_contacts(made.motion, body)
        seconds = time.process_time() - began
        gap = np.nanmean(apart(body, made, made.motion), 0)
        return Driven(made, contacts, _found(body, made, contacts), gap, depths_of(body, made.motion), seconds)


def case(body: Body, driven: Driven, betas: Float[np.ndarray, "10"]) -> dict[str, list[float]]:
    """One motion in one other body: a list of values per column."""
    made, driver = driven.made, driven.made.motion
    swap = replace(driver, betas=betas)
    began = time.process_time()
    kept = keep_contacts(Swap.of(driver, swap, body), driven.contacts)
    seconds = driven.seconds + time.process_time() - began
    per_touch = [driven.gap, *(np.nanmean(apart(body, made, motion), 0) for motion in (swap, kept))]
    depths = [depths_of(body, motion) for motion in (swap, kept)]
    allowed = np.maximum(driven.depths, 0.0) + DEEP_M
    turned = np.degrees(turned_by(swap, kept))
    return {
        "found": driven.found,
        **{f"gap_{of}": (1e3 * gap).tolist() for of, gap in zip(("driver", "swap", "kept"), per_touch, strict=True)},
        "kept_swap": (100.0 * (per_touch[1] < KEPT_M)).tolist(),
        "kept": (100.0 * (per_touch[2] < KEPT_M)).tolist(),
        "inside_swap": (100.0 * (depths[0] > allowed)).tolist(),
        "inside": (100.0 * (depths[1] > allowed)).tolist(),
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
    parser.add_argument("--motions", type=int, default=1, help="motions per pair of bodies, of 7")
    parser.add_argument("--cases", type=Path, help="keep what each driver gave here, and go on from there")
    options = parser.parse_args()
    names = [script.name for script in scripts()]
    with Recorder("Contacts of made motions in other bodies.", *COLUMNS, keep=options) as found:
        of_drivers = _driven(options.motions, options.cases)
        of_motion = {name: [each for cells in of_drivers for each in cells[name]] for name in names}
        for name in names:
            found.row(motion=name, clips=len(of_motion[name]), **_summary(of_motion[name]))
        together = [each for cells in of_motion.values() for each in cells]
        found.row(motion="all", clips=len(together), **_summary(together))


Cells = dict[str, list[dict[str, list[float]]]]
"""By motion: what each of its cases gave."""


def _driven(motions: int, folder: Path | None) -> list[Cells]:
    """The cases of each driver, from `folder` where they are there."""
    body, people = open_body(), bodies()
    sampling, cells = sample_surface(body, PUSHED_SAG_M), []
    for driver in range(len(people)):
        kept = folder / f"{driver}.json" if folder else None
        if kept and kept.is_file():
            cells.append(json.loads(kept.read_text()))
            continue
        cells.append(_by(body, people, driver, motions, sampling))
        print(f"driver {driver}: {people[driver][0]}", flush=True)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(kept) as fresh:
                fresh.write_text(json.dumps(cells[-1]))
    return cells


def _by(
    body: Body, people: list[tuple[str, Float[np.ndarray, "10"]]], driver: int, motions: int, sampling: Sampling
) -> Cells:
    """All cases of one driver."""
    cells: Cells = {}
    for number, script in enumerate(scripts()):
        driven = Driven.of(body, make(body, people[driver][1], script, sampling))
        cells[script.name] = [
            case(body, driven, betas) for other, (_, betas) in enumerate(people)
            if other != driver and (driver + 3 * other + number) % len(scripts()) < motions
        ]  # fmt: skip
    return cells


def _summary(cases: list[dict[str, list[float]]]) -> dict[str, float | None]:
    """Means, and the median angle; None where nothing was measured (no row far enough from a contact)."""
    cells = {key: [value for each in cases for value in each[key]] for key in cases[0]}
    means = {key: float(np.mean(values)) for key, values in cells.items() if key != "turned"}
    return {**means, "turned": float(np.median(cells["turned"])) if cells["turned"] else None}


if __name__ == "__main__":
    main()
