"""What keeping the contacts changed, in numbers: per kind of contact, and for the whole clip."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.contacts import CONTACT_PARTS, Contacts
from stages.artifacts.motion import Motion
from stages.body.rotations import rotvec_from_matrix
from stages.contacts.keep import Swap, heights_in, held_touches
from stages.contacts.legs import Planted, on_floor, slide_mm
from stages.contacts.points import place
from stages.contacts.solve import carried
from stages.contacts.surface import Person, rotations_of
from stages.counted import counted

KEPT_M = 0.015
"""A contact is kept if its points are this near, on average, to where the driver has them."""
DEEP_M = 0.005
FLOOR = CONTACT_PARTS.index("floor")
ROWS_AT_ONCE = 64
MOVED_RAD = 1e-4


@dataclass(frozen=True)
class KindFigures:
    """The contacts of one kind. Gaps: how far the touching points are from where the driver has them, mean of rows."""

    found: int
    kept: int
    gap_before_mm: float
    gap_after_mm: float


@dataclass(frozen=True)
class PlantedFigures:
    """Contacts with the floor: how far planted points go from one row to the next, mean, mm."""

    found: int
    slide_driver_mm: float
    slide_before_mm: float
    slide_after_mm: float

    def __str__(self) -> str:
        """Part of the line that the command line prints."""
        return (
            f"; feet: slide {self.slide_before_mm:.1f} -> {self.slide_after_mm:.1f} mm per frame in "
            f"{counted(self.found, 'contact')} (driver {self.slide_driver_mm:.1f})"
        )


@dataclass(frozen=True)
class ContactFigures:
    """before: the plain swap of the body shape. after: with the contacts kept."""

    kinds: dict[str, KindFigures]
    deeper_before: float
    """Share of rows in which a point of a hand or forearm is more than 5 mm deeper in the body than in the driver's."""
    deeper_after: float
    deepest_before_mm: float
    """The most that a point is deeper than in the driver's body."""
    deepest_after_mm: float
    turned_median_deg: float
    """Of the joints that were turned, in the rows in which they were."""
    turned_max_deg: float
    feet: PlantedFigures | None = None
    """None: there is no contact with a floor."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as a dictionary of plain numbers."""
        return asdict(self)

    def __str__(self) -> str:
        """The line that the command line prints."""
        kinds = [
            f"{kind} {each.kept} of {each.found} (gap {each.gap_before_mm:.0f} -> {each.gap_after_mm:.0f} mm)"
            for kind, each in self.kinds.items()
        ]
        return (
            f"contacts kept: {', '.join(kinds) if kinds else 'none found'}; inside the body "
            f"{100 * self.deeper_before:.0f} % -> {100 * self.deeper_after:.0f} % of frames (at most "
            f"{self.deepest_before_mm:.0f} -> {self.deepest_after_mm:.0f} mm deeper than the driver's); joints turned "
            f"by {self.turned_median_deg:.1f} degrees, at most {self.turned_max_deg:.0f}"
            f"{'' if self.feet is None else self.feet}"
        )


@dataclass(frozen=True)
class Compared:
    """The plain swap (before) and the kept contacts (after) of one shot, against the driver."""

    kinds: list[str]
    """Of each contact but those with the floor."""
    gap_mm: Float[np.ndarray, "contacts 2"]
    deeper_m: Float[np.ndarray, "2 frames"]
    turned_rad: list[float]
    on_floor: int
    """Contacts with the floor."""
    slide_mm: Float[np.ndarray, "steps 3"]
    """Of planted points: driver, before, after."""


def figures_of(shots: list[Compared]) -> ContactFigures:
    """The figures of all shots together."""
    kinds = np.array([kind for shot in shots for kind in shot.kinds])
    gaps = np.concatenate([shot.gap_mm for shot in shots])
    deeper = np.concatenate([shot.deeper_m for shot in shots], 1)
    angles = np.degrees([angle for shot in shots for angle in shot.turned_rad] or [0.0])
    return ContactFigures(
        kinds={kind: _kind_figures(gaps[kinds == kind]) for kind in sorted(set(kinds.tolist()))},
        deeper_before=float((deeper[0] > DEEP_M).mean()),
        deeper_after=float((deeper[1] > DEEP_M).mean()),
        deepest_before_mm=float(1e3 * deeper[0].max()),
        deepest_after_mm=float(1e3 * deeper[1].max()),
        turned_median_deg=float(np.median(angles)),
        turned_max_deg=float(angles.max()),
        feet=_planted_figures(shots),
    )


def _planted_figures(shots: list[Compared]) -> PlantedFigures | None:
    slides, found = np.concatenate([shot.slide_mm for shot in shots]), sum(shot.on_floor for shot in shots)
    return PlantedFigures(found, *slides.mean(0).tolist()) if len(slides) else None


def compare_contacts(swap: Swap, kept: Motion, contacts: Contacts) -> Compared:
    """Compare the plain swap and `kept` with the driver, a few rows at a time."""
    touches, frames = len(contacts.touch_rows), len(kept)
    sums, counts = np.zeros((2, touches)), np.zeros(touches)
    deeper, turned = np.zeros((2, frames)), []
    for start in range(0, frames, ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, frames))
        active = _active(contacts, rows)
        active[:, on_floor(contacts)] = False
        chosen = np.flatnonzero(active.any(0))
        driver = np.minimum(heights_in(swap.old, swap.driver, rows), 0.0)
        old = swap.old.transforms(rotations_of(swap.driver, rows), swap.driver.trans[rows])
        for number, motion in enumerate((swap.target, kept)):
            gap = _gaps(swap.old, swap.new, contacts, chosen, rows, old, motion)
            sums[number, chosen] += (gap * active[:, chosen]).sum(0)
            deeper[number, rows] = np.maximum(driver - heights_in(swap.new, motion, rows), 0.0).max(1)
        counts += active.sum(0)
        turned += _turned(swap.target, kept, rows)
    mean = 1e3 * sums / np.maximum(counts, 1)
    weight = np.zeros((len(contacts), touches))
    weight[contacts.touch_contact, np.arange(touches)] = counts
    gaps = (weight @ mean.T) / np.maximum(weight.sum(1, keepdims=True), 1)
    others = np.flatnonzero(~(contacts.parts == FLOOR).any(1))
    kinds = contacts.kinds()
    return Compared([kinds[row] for row in others], gaps[others], deeper, turned, len(contacts) - len(others),
                    _slides(swap, kept, contacts))  # fmt: skip


def _slides(swap: Swap, kept: Motion, contacts: Contacts) -> Float[np.ndarray, "steps 3"]:
    """Of planted points in the driver, in the plain swap, and with contacts kept."""
    motions = ((swap.old, swap.driver), (swap.new, swap.target), (swap.new, kept))
    slides = []
    for person, motion in motions:
        planted = Planted.of(person, contacts, len(motion))
        slides.append(slide_mm(planted.places(person, motion), planted))
    return np.stack(slides, 1)


def _active(contacts: Contacts, rows: slice) -> Bool[np.ndarray, "frames touches"]:
    count = np.arange(rows.start, rows.stop)[:, None]
    return (count >= contacts.touch_rows[:, 0]) & (count < contacts.touch_rows[:, 1])


def _gaps(
    old: Person,
    new: Person,
    contacts: Contacts,
    chosen: np.ndarray,
    rows: slice,
    transforms: np.ndarray,
    motion: Motion,
) -> Float[np.ndarray, "frames chosen"]:
    """How far each touch's points are from the driver's distance, metres."""
    held = held_touches(old, new, contacts, chosen, rows, transforms)
    posed = new.transforms(rotations_of(motion, rows), motion.trans[rows])
    apart = place(held.first, posed) - place(held.second, posed) - carried(held, posed)
    return np.linalg.norm(apart, axis=-1)


def _turned(before: Motion, after: Motion, rows: slice) -> list[float]:
    """The angles of the joints that were turned, radians."""
    between = np.swapaxes(rotations_of(before, rows), -1, -2) @ rotations_of(after, rows)
    angles = np.linalg.norm(rotvec_from_matrix(between), axis=-1)
    changed = (before.poses[rows] != after.poses[rows]).reshape(*angles.shape, 3).any(-1)
    return angles[changed & (angles > MOVED_RAD)].tolist()


def _kind_figures(gap_mm: Float[np.ndarray, "contacts 2"]) -> KindFigures:
    """A contact's gap is the mean over its touches' rows."""
    return KindFigures(len(gap_mm), int((gap_mm[:, 1] < 1e3 * KEPT_M).sum()), *gap_mm.mean(0).tolist())
