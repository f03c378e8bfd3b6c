"""Who is in a clip: the people of each shot, recognised across cuts by their look, and who is followed where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.detect.look import SAME_LOOK, look_distance
from stages.detect.person_detections import PersonDetection
from stages.detect.tracklets import Person, link_detections

NOBODY = -1


@dataclass(frozen=True)
class Shot:
    """The people of one shot, largest first. Frames `first` up to but not including `last`."""

    first: int
    last: int
    people: list[Person]


@dataclass(frozen=True)
class Followed:
    """Who is followed in a shot (None: nobody), who else is there, and the number of the person in the clip."""

    shot: Shot
    person: Person | None
    others: list[Person]
    identity: int


def people_of_shots(
    surveyed: list[list[PersonDetection]], starts: tuple[int, ...], frame_count: int, longest_gap: int
) -> list[Shot]:
    """The people of every shot from the detections of the surveyed frames. Nobody is linked across a cut."""
    shots = []
    for first, last in zip(starts, [*starts[1:], frame_count], strict=True):
        inside = [detections for detections in surveyed if detections and first <= detections[0].frame < last]
        shots.append(Shot(first, last, link_detections(inside, longest_gap)))
    return shots


def recognise(shots: list[Shot]) -> list[list[Person | None]]:
    """The people of a clip, largest first: for each of them the person that they are in every shot, or None.

    Two people of different shots are one where their usual looks agree; of several the most alike.
    """
    known: list[list[Person | None]] = []
    for number, shot in enumerate(shots):
        pairs = sorted(
            (apart, i, j)
            for i, rows in enumerate(known)
            for j, person in enumerate(shot.people)
            if (apart := _apart(rows, person)) <= SAME_LOOK
        )
        rows_of: dict[int, int] = {}
        for _, i, j in pairs:
            if i not in rows_of.values() and j not in rows_of:
                rows_of[j] = i
        for j, person in enumerate(shot.people):
            if j in rows_of:
                known[rows_of[j]].append(person)
            else:
                known.append([*([None] * number), person])
        for rows in known:
            rows += [None] * (number + 1 - len(rows))
    return sorted(known, key=lambda rows: -_whole(rows).size)


def _apart(rows: list[Person | None], person: Person) -> float:
    """The least distance between a person's usual look and those of a known person's shots; infinite if unknown."""
    apart = [look_distance(other.look, person.look) for other in rows if other is not None]
    return min((each for each in apart if np.isfinite(each)), default=np.inf)


def _whole(rows: list[Person | None]) -> Person:
    return Person([detection for person in rows if person is not None for detection in person.detections])


def follow(shots: list[Shot], known: list[list[Person | None]], number: int, alone: bool = False) -> list[Followed]:
    """Who is followed in each shot for the person `number` of the clip.

    A shot without this person is followed by its own largest one for number 0, its next for 1, and so on, unless
    `alone`: then nobody is followed there.
    """
    plan = []
    for column, shot in enumerate(shots):
        person = known[number][column] if number < len(known) else None
        if person is None and not alone and number < len(shot.people):
            person = shot.people[number]
        identity = NOBODY
        if person is not None:
            identity = next(row for row, rows in enumerate(known) if rows[column] is person)
        plan.append(Followed(shot, person, [other for other in shot.people if other is not person], identity))
    return plan
