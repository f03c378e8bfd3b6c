"""Floor, contacts with it, and foot slide: made steps with known truth and noise as a tracker's, and real views.

    python -m benchmarks.feet_truth [FOLDER] [--tracked FOLDER] [--write]

Six made motions (foot_motions) under cameras that look 0, 10 and 20 degrees down, each with noise; thresholds were
chosen on other noise. `tilt` and `height` compare the found floor with the true one, the height under the person's
feet. Precision and recall count rows of heels and toes. `slide` is how far planted points go from one row to the next:
as tracked, with locked feet, and over the rows that truly are contacts. FOLDER holds real views as
`benchmarks.real_truth` describes them, and --tracked their motions as NAME_VIEW.npz: a heel or toe of the truth is down
where it is lower than DOWN_M above its lowest place and slower than SLOW_M_S; only full bodies count. The truth's own
noise (8 to 15 mm) makes that a coarse measure.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from benchmarks.foot_motions import MadeSteps, foot_scripts, make_steps, tracked_like
from benchmarks.real_truth import ROOTS, View, views
from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import Motion, load_motion
from stages.body.model import Body
from stages.body.store import open_body
from stages.contacts.find import with_contacts
from stages.contacts.legs import Planted, slide_mm
from stages.contacts.lock import lock_feet
from stages.contacts.on_floor import floor_touches
from stages.contacts.soles import FEET, Soles, sole_vertices
from stages.contacts.surface import Person, sample_surface

PITCHES = (0.0, 10.0, 20.0)
SEED = 100
DOWN_M, SLOW_M_S = 0.03, 0.35
HEELS_AND_TOES = (29, 31, 30, 32)
"""Left heel, left toe, right heel, right toe among MediaPipe's 33 points."""
COLUMNS = (
    Column("motion", "motion"), Column("camera", "camera looks down", "degrees", 0), Column("tilt", "floor tilt error",
    "degrees"), Column("height", "floor height error", "mm", 0), Column("precision", "precision", "% of rows"),
    Column("recall", "recall", "% of rows"), Column("contacts", "contacts found", digits=0),
    Column("true", "true", digits=0), Column("slide", "slide, tracked", "mm per frame"),
    Column("locked", "locked", "mm per frame", 2), Column("slide_true", "slide in true contacts", "mm per frame"),
    Column("locked_true", "locked", "mm per frame"), Column("across", "speed of planted feet across", "m/s", 2),
    Column("along", "along the line of sight", "m/s", 2),
)  # fmt: skip


def found_down(motion: Motion, person: Person) -> Bool[np.ndarray, "frames 4"]:
    """Rows in which heels and toes have a contact with the motion's floor."""
    vertices = [patch[0] for patch in sole_vertices(person.body)]
    down = np.zeros((len(motion), len(vertices)), bool)
    if motion.floor is not None and np.isfinite(motion.floor[0]).all():
        for _, touch in floor_touches(person, motion, motion.floor[0]):
            corner = person.body.faces[touch.faces[0]][touch.barycentric[0].argmax()]
            down[slice(*touch.rows), vertices.index(corner)] = True
    return down[:, FEET]


def cells(
    body: Body, motion: Motion, floor: Float[np.ndarray, "4"], down: Bool[np.ndarray, "frames 4"], on: np.ndarray
) -> dict[str, float]:
    """The figures of one motion. `floor` and `down`: the truth; `on`: a place on the true floor under the person."""
    motion = with_contacts(motion, body)
    person = Person.of(body, motion, sample_surface(body))
    assert motion.floor is not None
    assert motion.contacts is not None
    found, mine = found_down(motion, person), motion.floor[0]
    locked, figures = lock_feet(motion, body)
    soles = [Soles.of(body, each, person) for each in (motion, locked)]
    true_slide = [_slides(each, down).mean() for each in soles]
    velocity = np.gradient(soles[0].middle[:, FEET], axis=0) * soles[0].fps
    along = (velocity * soles[0].ray[:, FEET]).sum(-1)
    across = np.linalg.norm(velocity - along[..., None] * soles[0].ray[:, FEET], axis=-1)
    both = (found & down).sum()
    return {
        "tilt": float(np.degrees(np.arccos(np.clip(mine[:3] @ floor[:3], -1, 1)))),
        "height": float(1e3 * abs(mine[:3] @ on - mine[3])),
        "precision": 100.0 * both / max(found.sum(), 1), "recall": 100.0 * both / max(down.sum(), 1),
        "contacts": motion.contacts.kinds().count("foot to floor"), "true": sum(_runs(down, n) for n in (0, 1)),
        "slide": np.nan if figures is None else figures.slide_before_mm,
        "locked": np.nan if figures is None else figures.slide_after_mm,
        "slide_true": float(true_slide[0]), "locked_true": float(true_slide[1]),
        "across": float(np.median(across[down])), "along": float(np.median(np.abs(along)[down])),
    }  # fmt: skip


def _runs(down: Bool[np.ndarray, "frames 4"], foot: int) -> int:
    """How often a foot comes to stand."""
    stands = down[:, 2 * foot : 2 * foot + 2].any(1)
    return int((np.diff(np.concatenate([[0], stands.astype(int)])) == 1).sum())


def _slides(soles: Soles, down: Bool[np.ndarray, "frames 4"]) -> Float[np.ndarray, "steps"]:
    steps = 1e3 * np.linalg.norm(np.diff(soles.middle[:, FEET], axis=0), axis=-1)
    return steps[down[1:] & down[:-1]]


def of_made(body: Body, made: MadeSteps, seed: int) -> dict[str, float]:
    """A made motion with noise."""
    person = Person.of(body, made.motion, sample_surface(body))
    feet = Soles.of(body, made.motion, person).middle[:, FEET].mean((0, 1))
    on = feet - (made.floor[:3] @ feet - made.floor[3]) * made.floor[:3]
    return cells(body, tracked_like(made.motion, seed), made.floor, made.down, on)


def of_view(body: Body, motion: Motion, view: View) -> tuple[dict[str, float], float]:
    """A tracked real view, against what its points of truth say; and how far down its camera looks, degrees."""
    with np.load(view.video.with_name(f"{view.clip}.npz"), allow_pickle=False) as data:
        number = [str(name) for name in data["views"]].index(view.name)
        up, world = data["R"][number] @ np.array([0, 0, 1.0]), data["xyz_pose"][:, HEELS_AND_TOES]
    height, points = world[..., 2] - np.nanmin(world[..., 2], 0), world[: len(motion)]
    reach = max(1, round(0.05 * view.fps))
    row = np.arange(len(points))
    before, after = np.maximum(row - reach, 0), np.minimum(row + reach, len(points) - 1)
    speed = np.linalg.norm(points[after] - points[before], axis=-1) * view.fps / (after - before)[:, None]
    down = (height[: len(motion)] < DOWN_M) & (speed < SLOW_M_S)
    placed = view.pose[: len(motion), HEELS_AND_TOES]
    on = np.nanmean(placed[down], 0) - np.nanmean(height[: len(motion)][down]) * up
    floor = np.array([*up, up @ on])
    return cells(body, motion, floor, down, on), float(np.degrees(np.arcsin(-up[2])))


def planted_slides(body: Body, motion: Motion) -> dict[str, float]:
    """Of a clip without truth: contacts and slides alone."""
    motion = with_contacts(motion, body)
    locked, figures = lock_feet(motion, body)
    assert motion.contacts is not None
    if figures is None:
        return {"contacts": 0}
    person = Person.of(body, motion, sample_surface(body))
    planted = Planted.of(person, motion.contacts, len(motion))
    after = slide_mm(planted.places(person, locked), planted)
    return {"contacts": figures.contacts, "slide": figures.slide_before_mm, "locked": float(after.mean())}


def main() -> None:
    """Print and record one row per motion and camera."""
    parser = arguments(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="real views with truth")
    parser.add_argument("--tracked", type=Path, help="motions of these views and of other clips, NAME.npz")
    options = parser.parse_args()
    body = open_body()
    with Recorder("Floor, contacts with it and foot slide, against truth.", *COLUMNS, keep=options) as record:
        rows = []
        for number, script in enumerate(foot_scripts()):
            for pitch in PITCHES:
                made = make_steps(body, np.zeros(10, np.float32), script, np.radians(pitch), np.radians(2.0))
                rows.append(of_made(body, made, SEED + number))
                record.row(motion=script.name, camera=pitch, **rows[-1])
        record.row(motion="all made", **{key: float(np.mean([row[key] for row in rows])) for key in rows[0]})
        seen = set()
        for view in [] if options.folder is None else views(options.folder):
            name = f"{view.clip}_{view.name}"
            if view.root == ROOTS["hips"] and (options.tracked / f"{name}.npz").is_file():
                seen.add(name)
                figures, pitch = of_view(body, load_motion(options.tracked / f"{name}.npz"), view)
                record.row(motion=name, camera=pitch, **figures)
        for path in [] if options.tracked is None else sorted(options.tracked.glob("*.npz")):
            if path.stem not in seen:
                record.row(motion=path.stem, **planted_slides(body, load_motion(path)))
        record.note("Found and true contacts count feet, not heels and toes. Clips without truth have slides alone.")


if __name__ == "__main__":
    main()
