"""When heels, balls of the feet and knees are on the floor: near it, and at rest.

A foot that swings forward passes a finger's width above the floor, so height alone tells nothing. A point's gap is the
larger of its height and the way that it would go in AHEAD_S; `episodes` reads contacts from it as for hands. Tracked
depth wanders, and a person who drifts towards the camera rises or sinks; so heights are measured from the resting
points around the row, as far as they lie near the floor at all.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.artifacts.contacts import CONTACT_PARTS
from stages.artifacts.motion import Motion
from stages.contacts.episodes import Rule, episodes, joined
from stages.contacts.floor import resting_points
from stages.contacts.soles import FEET, PARTS, Soles, sole_vertices
from stages.contacts.surface import Person
from stages.contacts.touches import Touch

ON_FLOOR = Rule(enter_m=0.035, leave_m=0.07, slow_m_s=0.3, shortest_s=0.1)
AHEAD_S = 0.1
WANDER_M, WANDER_S = 0.12, 0.3
"""Resting points farther from the floor stand on something else; over what time the person's height wanders."""
FLOOR = CONTACT_PARTS.index("floor")


def floor_touches(person: Person, motion: Motion, floor: Float[np.ndarray, "4"]) -> list[tuple[tuple[int, int], Touch]]:
    """The parts and the touch of each contact with the floor in one shot; `floor` without NaN."""
    body = person.body
    soles = Soles.of(body, motion, person)
    heights, speeds = heights_above(soles, floor), soles.speeds()
    gaps = np.where(soles.seen, np.maximum(np.abs(heights), AHEAD_S * speeds), np.inf)
    found = []
    for number, vertices in enumerate(sole_vertices(body)):
        face, corner = np.argwhere(body.faces == vertices[0])[0]
        weights = np.stack([np.eye(3)[corner], np.zeros(3)])
        spans = episodes(gaps[:, number], speeds[:, number], soles.fps, ON_FLOOR)
        found += [((PARTS[number], FLOOR), Touch(span, (int(face), -1), weights)) for span in joined(spans, 0)]
    return found


def heights_above(soles: Soles, floor: Float[np.ndarray, "4"]) -> Float[np.ndarray, "frames 6"]:
    """Of each point above the floor, without what the whole person wanders up and down, metres."""
    from scipy.ndimage import gaussian_filter1d

    heights = soles.heights(floor[:3]) - floor[3]
    near = resting_points(soles)[:, FEET] & (np.abs(heights[:, FEET]) < WANDER_M)
    lowest = np.where(near, heights[:, FEET], np.inf).min(1)
    known = np.isfinite(lowest)
    if not known.any():
        return heights
    rows = np.arange(len(heights))
    filled = np.interp(rows, rows[known], lowest[known])
    return heights - gaussian_filter1d(filled, WANDER_S * soles.fps, mode="nearest")[:, None]
