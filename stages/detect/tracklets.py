"""Who is in a clip: sightings linked through time into people, ordered by size. Pixels of the source picture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from stages.detect.crops import Box, overlap
from stages.detect.person_detections import Sighting

LONGEST_JUMP = 1.5
"""A person's head moves at most this many head heights between two surveyed frames, twice that while the body's boxes
overlap (standing up, clip d8) ..."""
LARGEST_GROWTH = 1.7
"""... and does not grow or shrink by more than this."""
LONGEST_ABSENCE = 3.0
"""Someone of the same size who comes back within so many seconds is the same person."""


@dataclass
class Person:
    """One person's sightings through the clip, in order of frames."""

    sightings: list[Sighting] = field(default_factory=list)

    @property
    def size(self) -> float:
        """Median head height in px times the square root of the number of sightings: large and lasting comes first."""
        return self.head_height * len(self.sightings) ** 0.5

    @property
    def head_height(self) -> float:
        """Median over the sightings, px."""
        return float(np.median([s.head_height for s in self.sightings]))

    def boxes(self) -> Float[np.ndarray, "sightings 4"]:
        """The box of every sighting."""
        return np.array([s.box for s in self.sightings])

    def head_at(self, frame: int, farthest: int) -> tuple[Float[np.ndarray, "2"], float] | None:
        """Head centre and height between sightings; None more than `farthest` frames from any."""
        frames = np.array([s.frame for s in self.sightings])
        if np.min(np.abs(frames - frame)) > farthest:
            return None
        rows = np.array([[*s.head, s.head_height] for s in self.sightings])
        x, y, height = (float(np.interp(frame, frames, column)) for column in rows.T)
        return np.array([x, y]), height


def link(surveyed: list[list[Sighting]], longest_gap: int) -> list[Person]:
    """Follow people through the surveyed frames; ordered by size, largest first. Fleeting ones are left out.

    Who is not seen for `longest_gap` frames comes back as somebody else.
    """
    people: list[Person] = []
    for sightings in surveyed:
        pairs = sorted(
            (
                (distance, i, j)
                for i, person in enumerate(people)
                for j, sighting in enumerate(sightings)
                if sighting.frame - person.sightings[-1].frame <= longest_gap
                and (distance := _distance(person.sightings[-1], sighting)) is not None
            ),
        )
        taken_people: set[int] = set()
        taken: set[int] = set()
        for _, i, j in pairs:
            if i not in taken_people and j not in taken:
                people[i].sightings.append(sightings[j])
                taken_people.add(i)
                taken.add(j)
        people += [Person([sighting]) for j, sighting in enumerate(sightings) if j not in taken]
    people = _rejoined(people, longest_gap)
    least = 0.1 * max((len(p.sightings) for p in people), default=0)
    return sorted((p for p in people if len(p.sightings) >= least), key=lambda p: -p.size)


def _rejoined(people: list[Person], longest_gap: int) -> list[Person]:
    """Join tracks that follow each other within `longest_gap` frames and agree in size."""
    joined: list[Person] = []
    for person in sorted(people, key=lambda p: p.sightings[0].frame):
        first = person.sightings[0]
        before = [
            other
            for other in joined
            if 0 < first.frame - other.sightings[-1].frame <= longest_gap
            and max(other.head_height, person.head_height) < LARGEST_GROWTH * min(other.head_height, person.head_height)
        ]
        if before:
            max(before, key=lambda other: other.sightings[-1].frame).sightings.extend(person.sightings)
        else:
            joined.append(person)
    return joined


def _distance(before: Sighting, after: Sighting) -> float | None:
    """Head heights between two sightings, None when they cannot be one person."""
    growth = max(after.head_height, before.head_height) / min(after.head_height, before.head_height)
    scale = max(after.head_height, before.head_height)
    moved = float(np.linalg.norm(after.head - before.head)) / scale
    if before.has_face != after.has_face:  # the head of a faceless body is guessed: judge by its box as well
        return moved if moved < 2 * LONGEST_JUMP and overlap(before.box, after.box) > 0.2 else None
    reach = 2 * LONGEST_JUMP if overlap(before.box, after.box) > 0.3 else LONGEST_JUMP
    return moved if moved < reach and growth < LARGEST_GROWTH else None


def without_others(crop: Box, own: list[Sighting], others: list[Person]) -> Box:
    """Pull the crop's sides in so that no other person's head is inside it, as far as one's own head allows."""
    frames = {s.frame: s for s in own}
    crop = np.array(crop, float)
    for other in others:
        for theirs in other.sightings:
            mine = frames.get(theirs.frame)
            if mine is None:
                continue
            middle = (mine.head[0] + theirs.head[0]) / 2
            if theirs.head[0] > mine.head[0] + 0.5 * mine.head_height:
                crop[2] = min(crop[2], max(middle, mine.head[0] + 0.7 * mine.head_height))
            elif theirs.head[0] < mine.head[0] - 0.5 * mine.head_height:
                crop[0] = max(crop[0], min(middle, mine.head[0] - 0.7 * mine.head_height))
    return crop


def only(person: Person, first: int, last: int) -> Person:
    """The sightings from frame `first` up to, not including, `last`."""
    return replace(person, sightings=[s for s in person.sightings if first <= s.frame < last])
