"""Turns some joints of a posed person, as little and as smoothly as possible, until touches hold and nothing crosses.

Unknown are rotation vectors d of the chain's joints, row by row: joint j's rotation R becomes R exp(d). Minimised is

    sum |touch gap|^2 / TOUCH_M^2  +  sum max(0, least - height)^2 / PUSH_M^2      touches, crossing surfaces
    + sum |d / sigma|^2            +  sum |second difference of d|^2 / jerk^2      small, smooth

with d_x no less than `lowest`, by Gauss-Newton: a joint that is as low and would go lower is held there. Where a body
is known that needs no turning (the driver's), the body grows from that one to the person's own in the first iterations:
so arms are pushed out on the side where they are, and not through a belly, or another hand, in which they begin. A
point is pushed if it lies too low, or if the last step was to leave it too low but threw it higher. Each row's
touches and pushes give a block of J^T J; the second differences join a row to the two rows after it by multiples of the
identity. So the system is a band matrix, which LAPACK's banded Cholesky solves in a time proportional to the number of
rows. The blocks are made on every core; the result does not depend on how many there are. Before the first and after
the last row d is 0, except at the ends of the clip.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise, repeat

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.model import JOINT_NAMES
from stages.body.rotations import matrix_from_rotvec, skew
from stages.contacts.points import SkinnedPoints
from stages.contacts.surface import Person
from stages.cores import usable_cores

TOUCH_M, PUSH_M = 0.002, 0.002
SMOOTH_RAD_S2 = 1.5
"""Usual `smooth_rad_s2`: arms turn slowly towards a contact."""
STOPPED_RAD = 1e-5
MARGIN_M = 0.002
"""Surfaces are pushed this much farther than they must be."""
NEAR_M = 0.12
"""Points farther from any surface are not pushed. Deeper ones find no surface, so it is more than any depth."""
ITERATIONS, GROWING = 14, 8
"""Iterations at most, and those in which the body grows. From a thin child of 1.37 m to a heavy adult of 2.07 m a belly
grows by 15 mm in each, an arm by 28: less than the thickness of a hand, so nothing jumps through one."""
SEARCH_EVERY = 3
"""The nearest surface points are looked for in every third iteration, and in each once the body has grown."""
LONGEST_STEP_RAD = 0.35
REACH_M = 0.01
"""Points that lie higher than they must by this, which is about how far they are from each other, are not expected to
be pushed next."""
DONE_RAD = 5e-4


@dataclass(frozen=True)
class Chain:
    """The joints that may turn, and by how much each does so readily, about its own x, y and z."""

    joints: Int[np.ndarray, "turning"]
    sigma: Float[np.ndarray, "turning 3"]

    @staticmethod
    def of(sigmas: dict[str, tuple[float, float, float]]) -> Chain:
        """From names and radians."""
        return Chain(np.array([JOINT_NAMES.index(name) for name in sigmas]), np.array(list(sigmas.values())))


@dataclass(frozen=True)
class Held:
    """Pairs of points that are kept together: first = second + offset."""

    first: SkinnedPoints
    second: SkinnedPoints
    offset: Float[np.ndarray, "frames touches 3"]
    """Metres, in the frame of `joint`, or of the camera where it is -1."""
    joint: Int[np.ndarray, "touches"]
    weight: Float[np.ndarray, "frames touches"]
    """0 to 1; 0 where the touch does not hold."""


@dataclass(frozen=True)
class Easy:
    """The same rows in another body, in which all touches hold and nothing crosses with offsets of 0."""

    person: Person
    trans: Float[np.ndarray, "frames 3"]
    first: SkinnedPoints
    second: SkinnedPoints
    """The points of `Held` in that body."""


@dataclass(frozen=True)
class Task:
    """One person, some rows, and what must hold in them."""

    person: Person
    rotations: Float[np.ndarray, "frames 55 3 3"]
    trans: Float[np.ndarray, "frames 3"]
    chain: Chain
    free: Bool[np.ndarray, "frames turning"]
    """Where a joint may turn at all."""
    held: Held
    least: Float[np.ndarray, "frames queries"] | None
    """The least height of each query point above other surfaces, metres; None: surfaces may cross."""
    before: Float[np.ndarray, "2 turning 3"]
    """The offsets of the two rows before the first."""
    open: tuple[bool, bool]
    """Whether the clip begins, and ends, with these rows: then nothing holds the offsets to 0 there."""
    fps: float
    smooth_rad_s2: float = SMOOTH_RAD_S2
    """Second derivative of an offset that costs as much as a touch that is TOUCH_M apart."""
    lowest: Float[np.ndarray, "frames turning"] | None = None
    """The least turn of each joint about its x axis, radians; None: there is no limit."""
    grown_from: Easy | None = None
    """A body that needs no turning; None: there is none."""

    def at(self, share: float) -> Task:
        """The same task in a body that has grown by `share` from `grown_from` to the person's own."""
        if self.grown_from is None or share >= 1.0:
            return self
        held = replace(self.held, first=self.grown_from.first.towards(self.held.first, share),
                       second=self.grown_from.second.towards(self.held.second, share))  # fmt: skip
        trans = self.grown_from.trans + share * (self.trans - self.grown_from.trans)
        return replace(self, person=self.grown_from.person.towards(self.person, share), held=held, trans=trans)

    def of_rows(self, rows: slice) -> Task:
        """The same task for some of the rows."""
        easy = None if self.grown_from is None else replace(self.grown_from, trans=self.grown_from.trans[rows])
        held = replace(self.held, offset=self.held.offset[rows], weight=self.held.weight[rows])
        least = None if self.least is None else self.least[rows]
        lowest = None if self.lowest is None else self.lowest[rows]
        return replace(self, rotations=self.rotations[rows], trans=self.trans[rows], free=self.free[rows], held=held,
                       least=least, lowest=lowest, grown_from=easy)  # fmt: skip


def turned(task: Task, offsets: Float[np.ndarray, "frames turning 3"]) -> Float[np.ndarray, "frames 55 3 3"]:
    """The joints' rotations with the offsets."""
    rotations = task.rotations.copy()
    rotations[:, task.chain.joints] = rotations[:, task.chain.joints] @ matrix_from_rotvec(offsets)
    return rotations


def solve(task: Task) -> Float[np.ndarray, "frames turning 3"]:
    """The offsets, radians."""
    from threadpoolctl import threadpool_limits

    frames, cores = len(task.free), usable_cores()
    ends = np.linspace(0, frames, min(cores, frames) + 1).astype(int).tolist()
    rows = [slice(*pair) for pair in pairwise(ends)]
    pieces = [Piece(task.of_rows(each)) for each in rows]
    grows = 1 if task.grown_from is None else GROWING
    offsets: np.ndarray = np.zeros((*task.free.shape, 3))
    with threadpool_limits(1), ThreadPoolExecutor(cores) as pool:
        for iteration in range(ITERATIONS):
            share = min(1.0, (iteration + 1) / grows)
            search = iteration >= GROWING or iteration % SEARCH_EVERY == 0
            at = [offsets[each] for each in rows]
            found = list(pool.map(Piece.system, pieces, at, repeat(share), repeat(search)))
            hessian, gradient = (np.concatenate(each) for each in zip(*found, strict=True))
            step = _solve_band(task, hessian, gradient, offsets)
            list(pool.map(Piece.press, pieces, [step[each] for each in rows]))
            longest = np.linalg.norm(step, axis=-1).max(initial=0.0)
            offsets += step * min(1.0, LONGEST_STEP_RAD / max(longest, 1e-12))
            if task.lowest is not None:
                offsets[..., 0] = np.maximum(offsets[..., 0], task.lowest)
            if share == 1.0 and longest < DONE_RAD:
                break
    return offsets * task.free[..., None]


Joints = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""All transforms; origins; and of the turning joints axes, rows and which joints they move."""
Pushes = tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Skinned points; query points, what is under them, heights and least heights; normals."""


class Piece:
    """Some rows of a task while they are solved."""

    def __init__(self, task: Task) -> None:
        """Nothing is known of the rows yet."""
        self.task = task
        self.under: np.ndarray | None = None
        """The surface point under each query point."""
        self.pressed = np.zeros(() if task.least is None else task.least.shape, bool)
        """The query points that the last step was to leave too low."""
        self.asked: tuple[Pushes, Joints] | None = None
        """What the kernels were told last."""

    def system(
        self, offsets: Float[np.ndarray, "frames turning 3"], share: float = 1.0, search: bool = True
    ) -> tuple[Float[np.ndarray, "frames unknowns unknowns"], Float[np.ndarray, "frames unknowns"]]:
        """J^T J (lower half) and J^T r of touches and pushes, in the body grown by `share`; `search` looks for the
        nearest surface points."""
        from stages.contacts.kernels import add_pushes, add_touches

        task = self.task.at(share)
        frames, unknowns = len(offsets), 3 * len(task.chain.joints)
        hessian, gradient = np.zeros((frames, unknowns, unknowns)), np.zeros((frames, unknowns))
        transforms = task.person.transforms(turned(task, offsets), task.trans)
        joints = (
            transforms,
            task.person.joints(transforms),
            transforms[:, task.chain.joints, :, :3] @ _right_jacobian(offsets),
            task.chain.joints,
            _below(task)[task.chain.joints],
        )
        held = task.held
        add_touches(_entries(held.first), _entries(held.second), carried(held, transforms), held.joint,
                    held.weight / TOUCH_M**2, *joints, hessian, gradient)  # fmt: skip
        if task.least is not None:
            points, normals = task.person.surface(transforms)
            if search or self.under is None:
                height, self.under = task.person.heights(points, normals, NEAR_M, self.under)
            else:
                height = task.person.heights_above(points, normals, self.under, NEAR_M)
            query = task.person.sampling.query
            pushes = _entries(task.person.points), query, self.under, height, task.least, normals
            add_pushes(*pushes, self.pressed, PUSH_M**-2, *joints, hessian, gradient)
            self.asked = pushes, joints
        if task.lowest is not None:
            stopped = (offsets[..., 0] <= task.lowest) & (gradient[:, ::3] > 0)
            hessian[:, range(0, unknowns, 3), range(0, unknowns, 3)] += stopped / STOPPED_RAD**2
        return hessian, gradient

    def press(self, step: Float[np.ndarray, "frames turning 3"]) -> None:
        """Find the points that are `pressed` by the step that `system` gave."""
        from stages.contacts.kernels import press

        if self.asked:
            pushes, joints = self.asked
            press(*pushes, REACH_M, step.reshape(len(step), -1), *joints, self.pressed)


def carried(held: Held, transforms: Float[np.ndarray, "frames 55 3 4"]) -> Float[np.ndarray, "frames touches 3"]:
    """The offsets between touching points, in the camera frame."""
    turn = np.where((held.joint >= 0)[:, None, None], transforms[:, held.joint, :, :3], np.eye(3))
    return (turn @ held.offset[..., None])[..., 0]


def _solve_band(task: Task, hessian: np.ndarray, gradient: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The step that solves (J^T J + prior + smoothness) step = -(J^T r + their gradients)."""
    from scipy.linalg import solveh_banded

    frames, unknowns = gradient.shape
    flat = offsets.reshape(frames, unknowns)
    prior = np.tile((task.chain.sigma**-2).ravel(), (frames, 1))
    smooth = (task.fps**2 / task.smooth_rad_s2) ** 2
    known = np.concatenate([task.before.reshape(2, unknowns), flat, np.zeros((2, unknowns))])
    counts = _counted(frames, task.open)
    second = counts[:, None] * (known[:-2] - 2 * known[1:-1] + known[2:])
    fourth = second[:-2] - 2 * second[1:-1] + second[2:]
    right = -(gradient + prior * flat + smooth * fourth)
    fixed = np.repeat(~task.free, 3, 1)
    right[fixed] = 0.0
    band = np.zeros((2 * unknowns + 1, frames, unknowns))
    for column in range(unknowns):
        band[: unknowns - column, :, column] = hessian[:, column:, column].T
    along = counts[:, None] * smooth
    band[0] += prior + along[:-2] + 4 * along[1:-1] + along[2:] + np.where(fixed, 1e12, 0.0)
    band[unknowns] -= 2 * (along[1:-1] + along[2:])
    band[2 * unknowns] += along[2:]
    step = solveh_banded(band.reshape(2 * unknowns + 1, -1), right.ravel(), lower=True, overwrite_ab=True,
                         check_finite=False)  # fmt: skip
    return step.reshape(offsets.shape)


def _counted(frames: int, open: tuple[bool, bool]) -> Float[np.ndarray, "frames_and_two"]:
    """1 for the second differences centred on the row before the first, on each row, and on the row after the last; 0
    for those that reach beyond the clip."""
    counts = np.ones(frames + 2)
    counts[:2] *= not open[0]
    counts[-2:] *= not open[1]
    return counts


def _right_jacobian(rotvec: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """J with exp(v + dv) = exp(v) exp(J dv) (Sola et al. 2018, eq. 143)."""
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    cross = skew(rotvec)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    second = np.where(small, 1 / 6, (safe - np.sin(safe)) / safe**3)
    return np.eye(3) - first * cross + second * (cross @ cross)


def _below(task: Task) -> Bool[np.ndarray, "55 55"]:
    """Whether joint k (column) moves when joint j (row) turns."""
    parents = task.person.body.parents
    below = np.eye(len(parents), dtype=bool)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            below[:, joint] |= below[:, parent]
    return below


def _entries(points: SkinnedPoints) -> tuple[np.ndarray, ...]:
    return points.start, points.joint, points.at, points.weight
