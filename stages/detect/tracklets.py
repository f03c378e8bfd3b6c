"""Link the person detections of a clip through time into people, ordered by size. Pixels of the source picture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from stages.detect.crops import Box, overlap
from stages.detect.look import SAME_LOOK, Look, look_distance, typical_look
from stages.detect.person_detections import PersonDetection

LONGEST_JUMP = 1.5
"""Largest movement of a head between two surveyed frames, in head heights. The limit is twice as large while the boxes
of the body overlap (standing up, clip d8)."""
MOST_STEPS = 3
"""The limit grows with the time since the last detection, up to this many steps of the survey."""
LARGEST_GROWTH = 1.7
"""Largest factor between the head heights of one person in two surveyed frames."""
LONGEST_ABSENCE = 3.0
"""A person of the same size who comes back within this many seconds is the same person, unless the looks differ. After
that the looks must agree."""
RECENT = 5
"""Number of a person's last detections whose look is compared with new ones: people turn, and arms cover them."""
ALONE = 2.0
"""Looks of a person alone may differ by this many times SAME_LOOK: 17.7 in d9 within 0.2 s."""
IN_PLACE = 0.7
"""A person whose box overlaps the last one this much (IoU) may have changed the look: people turn (d9: 0.85, two men
who pass each other in f07: 0.44)."""
LOOKS_LIKE_ANOTHER = 3.0
"""A detection that is nearer to another person's usual look by this much is not this person."""


@dataclass
class Person:
    """One person's detections through the clip, in order of frames."""

    detections: list[PersonDetection] = field(default_factory=list)

    @property
    def size(self) -> float:
        """Median head height in px times the square root of the number of detections, to sort people."""
        return self.head_height * len(self.detections) ** 0.5

    @property
    def head_height(self) -> float:
        """Median over the detections, px."""
        return float(np.median([s.head_height for s in self.detections]))

    def boxes(self) -> Float[np.ndarray, "detections 4"]:
        """The box of every detection."""
        return np.array([s.box for s in self.detections])

    @property
    def look(self) -> Look:
        """The usual look."""
        return typical_look([s.look for s in self.detections])

    def look_distance(self, detection: PersonDetection) -> float:
        """Distance of a detection's look from the nearest one of the last detections; NaN if none can be compared."""
        apart = [look_distance(recent.look, detection.look) for recent in self.detections[-RECENT:]]
        return min((each for each in apart if np.isfinite(each)), default=np.nan)

    def head_at(self, frame: int, farthest: int) -> tuple[Float[np.ndarray, "2"], float] | None:
        """Centre and height of the head, interpolated; None if all detections are over `farthest` frames away."""
        frames = np.array([s.frame for s in self.detections])
        if np.min(np.abs(frames - frame)) > farthest:
            return None
        rows = np.array([[*s.head, s.head_height] for s in self.detections])
        x, y, height = (float(np.interp(frame, frames, column)) for column in rows.T)
        return np.array([x, y]), height


def link_detections(surveyed: list[list[PersonDetection]], longest_gap: int) -> list[Person]:
    """Follow people through the surveyed frames of one shot, largest first; people of very few frames are left out.

    A detection continues a person where place, size and look agree, and where it does not look more like another one.
    People whose tracks follow each other are joined by `_rejoined`. Where nobody is ever seen beside another
    person, looks may differ ALONE times as much: people who turn round change their look.
    """
    people: list[Person] = []
    most = SAME_LOOK * (1 if any(len(detections) > 1 for detections in surveyed) else ALONE)
    frames = [detections[0].frame for detections in surveyed if detections]
    step = int(np.diff(frames).min()) if len(frames) > 1 else 1
    for detections in surveyed:
        alive = [p for p in people if detections and detections[0].frame - p.detections[-1].frame <= longest_gap]
        taken_people: set[int] = set()
        taken: set[int] = set()
        for _, i, j in sorted(_links(alive, detections, most, step)):
            if i not in taken_people and j not in taken:
                alive[i].detections.append(detections[j])
                taken_people.add(i)
                taken.add(j)
        people += [Person([detection]) for j, detection in enumerate(detections) if j not in taken]
    people = _rejoined(people, longest_gap, most)
    least = 0.1 * max((len(p.detections) for p in people), default=0)
    return sorted((p for p in people if len(p.detections) >= least), key=lambda p: -p.size)


def _links(
    alive: list[Person], detections: list[PersonDetection], most: float, step: int
) -> list[tuple[float, int, int]]:
    """Cost and numbers of every person and detection that may be one. `most`: largest distance of their looks; `step`:
    frames between two surveyed frames."""
    found = []
    for j, detection in enumerate(detections):
        usual = [look_distance(person.look, detection.look) for person in alive]
        nearest = np.nanmin(usual) if np.isfinite(usual).any() else np.nan
        for i, person in enumerate(alive):
            before = person.detections[-1]
            moved = _distance(before, detection, step)
            is_unlike = person.look_distance(detection) > most and overlap(before.box, detection.box) < IN_PLACE
            if moved is None or is_unlike or usual[i] - nearest > LOOKS_LIKE_ANOTHER:
                continue
            found.append((moved + np.nan_to_num(usual[i]) / SAME_LOOK, i, j))
    return found


def _rejoined(people: list[Person], longest_gap: int, most: float) -> list[Person]:
    """Join tracks that follow each other and agree in size and look. After more than `longest_gap` frames the looks
    must be known; before, looks that cannot be compared are no objection."""
    joined: list[Person] = []
    for person in sorted(people, key=lambda p: p.detections[0].frame):
        costs = [(cost, number) for number, other in enumerate(joined)
                 if (cost := _rejoin_cost(other, person, longest_gap, most)) is not None]  # fmt: skip
        if costs:
            joined[min(costs)[1]].detections.extend(person.detections)
        else:
            joined.append(person)
    return joined


def _rejoin_cost(before: Person, after: Person, longest_gap: int, most: float) -> float | None:
    """The difference of two tracks' looks; None if they cannot be one person."""
    gap = after.detections[0].frame - before.detections[-1].frame
    sizes = before.head_height, after.head_height
    if gap <= 0 or max(sizes) > LARGEST_GROWTH * min(sizes):
        return None
    looks = [typical_look([s.look for s in some]) for some in (before.detections[-RECENT:], after.detections[:RECENT])]
    apart = look_distance(*looks)
    if apart <= (most if gap <= longest_gap else SAME_LOOK):
        return apart
    return most + gap if gap <= longest_gap and np.isnan(apart) else None


def _distance(before: PersonDetection, after: PersonDetection, step: int) -> float | None:
    """Distance of two detections in head heights; None when they cannot be one person."""
    growth = max(after.head_height, before.head_height) / min(after.head_height, before.head_height)
    scale = max(after.head_height, before.head_height)
    moved = float(np.linalg.norm(after.head - before.head)) / scale
    if before.has_face != after.has_face:  # the head of a body without a face is a guess, so compare the boxes too
        return moved if moved < 2 * LONGEST_JUMP and overlap(before.box, after.box) > 0.2 else None
    reach = 2 * LONGEST_JUMP if overlap(before.box, after.box) > 0.3 else LONGEST_JUMP
    reach *= min(max((after.frame - before.frame) / step, 1), MOST_STEPS)
    return moved if moved < reach and growth < LARGEST_GROWTH else None


def crop_without_others(crop: Box, own: list[PersonDetection], others: list[Person]) -> Box:
    """Move the sides of the crop inwards until no other head is inside it, but never into the own head."""
    frames = {s.frame: s for s in own}
    crop = np.array(crop, float)
    for other in others:
        for theirs in other.detections:
            mine = frames.get(theirs.frame)
            if mine is None:
                continue
            middle = (mine.head[0] + theirs.head[0]) / 2
            if theirs.head[0] > mine.head[0] + 0.5 * mine.head_height:
                crop[2] = min(crop[2], max(middle, mine.head[0] + 0.7 * mine.head_height))
            elif theirs.head[0] < mine.head[0] - 0.5 * mine.head_height:
                crop[0] = max(crop[0], min(middle, mine.head[0] - 0.7 * mine.head_height))
    return crop


def within_frames(person: Person, first: int, last: int) -> Person:
    """The person with the detections from frame `first` up to but not including `last`."""
    return replace(person, detections=[s for s in person.detections if first <= s.frame < last])
