"""Keeps the driver's contacts in another body: turns legs, arms, fingers and, where a hand reaches low, the spine.

The swapped motion has the driver's joint angles, so in other proportions a clap misses and a hand sinks into a larger
belly. Here the touches of the driver are held at the driver's own distance, and no point of hands and forearms may lie
deeper in the body than it did in the driver's (or than its surface). Joints turn only around these rows; all other
angles stay the driver's, bit for bit. Long stretches are solved in windows, so memory does not grow with the clip.
Planted feet come first (`plant`): longer legs would slide on the driver's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.artifacts.contacts import CONTACT_PARTS, Contacts
from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.contacts.episodes import spans_of, windows
from stages.contacts.held import RAMP, ramped, touch_points
from stages.contacts.legs import on_floor
from stages.contacts.parts import FINGERS, PIECES
from stages.contacts.plant import plant_feet
from stages.contacts.points import place
from stages.contacts.solve import MARGIN_M, NEAR_M, Chain, Easy, Held, Task, solve
from stages.contacts.surface import PUSHED_SAG_M, Person, rotations_of, sample_surface
from stages.progress import Progress, silent

FADE_S = 0.8
"""Joints begin to turn this long before a contact, and are back this long after it."""
WINDOW_S, OVERLAP_S = 10.0, 1.5
"""Longer stretches are solved this many seconds at a time; the last of them are solved again by the next window."""
NEW_DEPTH_M = 0.002
"""A point that lies this much deeper than in the driver's body is pushed out."""
FIRM_M = 0.004
"""A touch whose points are this far apart in the driver counts half as much as one that is closed."""
ROWS_AT_ONCE = 64
NOTHING_RAD = 1e-6
"""Smaller turns are left out, so that such a joint keeps the driver's angle bit for bit."""

ARM = {"collar": (0.08, 0.08, 0.08), "shoulder": (0.5, 0.5, 0.5), "elbow": (0.3, 0.6, 0.1), "wrist": (0.3, 0.3, 0.3)}
SPINE = dict.fromkeys(("spine1", "spine2", "spine3"), (0.04, 0.02, 0.02))
FINGER = (0.15, 0.2, 0.4)
"""How far joints turn readily, radians about their x (the limb's length), y and z axes."""
UPPER = Chain.of(SPINE | {f"{side}_{name}": sigma for side in ("left", "right") for name, sigma in ARM.items()})
LOW = ("hip", "left_thigh", "right_thigh", "left_shin", "right_shin", "left_foot", "right_foot")
"""Parts that a hand may need the spine to reach."""


@dataclass(frozen=True)
class Swap:
    """Driver and target: the same angles in two bodies."""

    driver: Motion
    target: Motion
    old: Person
    new: Person

    @staticmethod
    def of(driver: Motion, target: Motion, body: Body) -> Swap:
        """Both persons on one sampling of the surface."""
        sampling = sample_surface(body, PUSHED_SAG_M)
        return Swap(driver, target, Person.of(body, driver, sampling), Person.of(body, target, sampling))


def keep_contacts(swap: Swap, contacts: Contacts, progress: Progress = silent) -> Motion:
    """The target with legs, arms, spine and fingers turned so that the driver's contacts hold; its contacts and its
    floor set."""
    planted = plant_feet(swap.driver, swap.target, swap.old, swap.new, contacts)
    swap = replace(swap, target=planted)
    poses = swap.target.poses.copy()
    for chain, chosen, pushed in _chains(contacts):
        _keep_chain(swap, chain, contacts, chosen, pushed, poses, progress)
    return replace(swap.target, poses=poses, contacts=contacts)


def _chains(contacts: Contacts) -> Iterator[tuple[Chain, Int[np.ndarray, "touches"], bool]]:
    """Chains that do not influence each other, the touches that each holds, and whether crossing surfaces push it."""
    pairs = contacts.parts[contacts.touch_contact]
    pinch = pairs[:, 0] == pairs[:, 1]
    floor = np.isin(np.arange(len(pairs)), on_floor(contacts))
    yield UPPER, np.flatnonzero(~pinch & ~floor), True
    for side in ("left", "right"):
        hand = pairs[:, 0] == CONTACT_PARTS.index(f"{side}_hand")
        names = [f"{side}_{finger}{number}" for finger in FINGERS for number in (1, 2, 3)]
        yield Chain.of(dict.fromkeys(names, FINGER)), np.flatnonzero(pinch & hand), False


def _keep_chain(
    swap: Swap,
    chain: Chain,
    contacts: Contacts,
    chosen: Int[np.ndarray, "touches"],
    pushed: bool,
    poses: Float[np.ndarray, "frames 165"],
    progress: Progress,
) -> None:
    """Solve one chain over the clip; changes the `poses` of the joints that turn, in place."""
    frames, fps = len(swap.driver), float(swap.driver.fps)
    needed = _needed(swap, chain, contacts, chosen)
    if pushed:
        needed[_crossing(swap, chain)] = True
    fade = round(FADE_S * fps)
    free = _widened(needed, fade)
    offsets = np.zeros((frames, len(chain.joints), 3))
    for begin, end in windows(spans_of(free.max(1)), round(WINDOW_S * fps), round(OVERLAP_S * fps)):
        _solve_window(swap, chain, contacts, chosen, pushed, free, (begin, end), offsets)
        progress("keeping contacts", end, frames)
    for number, joint in enumerate(chain.joints):
        changed = np.flatnonzero(np.linalg.norm(offsets[:, number], axis=-1) > NOTHING_RAD)
        columns = slice(3 * joint, 3 * joint + 3)
        before = matrix_from_rotvec(poses[changed, columns].astype(np.float64))
        poses[changed, columns] = rotvec_from_matrix(before @ matrix_from_rotvec(offsets[changed, number]))


def _needed(
    swap: Swap, chain: Chain, contacts: Contacts, chosen: Int[np.ndarray, "touches"]
) -> Bool[np.ndarray, "frames turning"]:
    """Rows in which a touch needs a joint: those of its arm or hand, and the spine where a hand reaches low."""
    needed = np.zeros((len(swap.driver), len(chain.joints)), bool)
    names = [JOINT_NAMES[joint] for joint in chain.joints]
    for touch in chosen:
        parts = [CONTACT_PARTS[part] for part in contacts.parts[contacts.touch_contact[touch]]]
        arms = {part.partition("_")[0] for part in parts if part.endswith(("hand", "arm"))}
        low = any(part in LOW for part in parts)
        begin, end = contacts.touch_rows[touch]
        needed[begin:end] |= [name.partition("_")[0] in arms or (low and name in SPINE) for name in names]
    return needed


def _crossing(swap: Swap, chain: Chain) -> Bool[np.ndarray, "frames turning"]:
    """Rows in which a point of an arm lies deeper in the body than in the driver's: the joints of that arm."""
    crossing = np.zeros((len(swap.driver), len(chain.joints)), bool)
    side = np.array([JOINT_NAMES[joint].partition("_")[0] for joint in chain.joints])
    sampling = swap.new.sampling
    owner = np.array([PIECES[piece].partition("_")[0] for piece in sampling.piece[sampling.query]])
    for start in range(0, len(crossing), ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, len(crossing)))
        allowed = np.minimum(heights_in(swap.old, swap.driver, rows), 0.0)
        depth = allowed - heights_in(swap.new, swap.target, rows)
        for arm in ("left", "right"):
            crossing[rows] |= (depth[:, owner == arm].max(1) > NEW_DEPTH_M)[:, None] & (side == arm)
    return crossing


def heights_in(person: Person, motion: Motion, rows: slice) -> Float[np.ndarray, "frames queries"]:
    """Height of each query point above the surface that it may touch, metres; NEAR_M beyond that."""
    points, normals = person.surface(person.transforms(rotations_of(motion, rows), motion.trans[rows]))
    return person.heights(points, normals, NEAR_M)[0]


def _widened(needed: Bool[np.ndarray, "frames turning"], by: int) -> Bool[np.ndarray, "frames turning"]:
    """True `by` rows before and after as well."""
    wide = np.zeros_like(needed)
    for number in range(needed.shape[1]):
        for begin, end in spans_of(needed[:, number]):
            wide[max(0, begin - by) : end + by, number] = True
    return wide


def _solve_window(
    swap: Swap,
    chain: Chain,
    contacts: Contacts,
    chosen: Int[np.ndarray, "touches"],
    pushed: bool,
    free: Bool[np.ndarray, "frames turning"],
    span: tuple[int, int],
    done: Float[np.ndarray, "frames turning 3"],
) -> None:
    """Solve the rows of `span`, from the offsets that are `done` before it; sets those of `span`."""
    rows, fps = slice(*span), float(swap.driver.fps)
    old = swap.old.transforms(rotations_of(swap.driver, rows), swap.driver.trans[rows])
    begun = np.concatenate([np.zeros((2, *done.shape[1:])), done[: span[0]]])[-2:]
    least = np.minimum(heights_in(swap.old, swap.driver, rows), MARGIN_M) if pushed else None
    held = held_touches(swap.old, swap.new, contacts, chosen, rows, old)
    easy = None
    if pushed:
        own = held_touches(swap.old, swap.old, contacts, chosen, rows, old)
        easy = Easy(swap.old, swap.driver.trans[rows], own.first, own.second)
    task = Task(swap.new, rotations_of(swap.target, rows), swap.target.trans[rows], chain, free[rows], held, least,
                begun, (span[0] == 0, span[1] == len(swap.driver)), fps, grown_from=easy)  # fmt: skip
    done[rows] = solve(task)


def held_touches(
    old: Person,
    new: Person,
    contacts: Contacts,
    chosen: Int[np.ndarray, "touches"],
    rows: slice,
    transforms: Float[np.ndarray, "frames 55 3 4"],
) -> Held:
    """The touches that hold in some of `rows`, at the driver's distances. `transforms`: the driver's joints there."""
    spans = contacts.touch_rows[chosen]
    chosen = chosen[(spans[:, 0] - len(RAMP) < rows.stop) & (spans[:, 1] + len(RAMP) > rows.start)]
    first, second = (touch_points(old, contacts, chosen, side) for side in (0, 1))
    joint = old.body.weights[old.body.faces[contacts.touch_faces[chosen, 1]][:, 0]].argmax(1)
    apart = place(first, transforms) - place(second, transforms)
    weight = np.stack([ramped(rows, *span) for span in contacts.touch_rows[chosen].tolist()], 1) if len(chosen) else (
        np.zeros((rows.stop - rows.start, 0)))  # fmt: skip
    weight = weight / (1 + (np.linalg.norm(apart, axis=-1) / FIRM_M) ** 2)
    turn = np.swapaxes(transforms[:, joint, :, :3], -1, -2)
    return Held(
        touch_points(new, contacts, chosen, 0), touch_points(new, contacts, chosen, 1),
        (turn @ apart[..., None])[..., 0], joint, weight,
    )  # fmt: skip
