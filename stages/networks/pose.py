"""MediaPipe's pose networks: find a person, then 33 points of the body in the person's region.

As in mediapipe/modules/pose_landmark of 0.10.21 (model_complexity 1). A person who is followed is read in the region
that the picture before gives, and the points are smoothed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.networks.detection import PEOPLE, detect
from stages.networks.opened import Networks
from stages.networks.region import Region, around_circle
from stages.networks.smoothing import VISIBILITY_SHARE, OneEuro

POINTS = 33
LEAST_SCORE = 0.5
"""Least score of a detected person, and of the presence of a body in a region."""
GROWTH = 1.25
"""Side of the region relative to the square around the circle through the body's ends."""
PIXELS, HEATMAP_REACH, HEATMAP_LEAST = 256, 3, 0.5
"""Side of the network's input. A point moves to the heat map's mean within this many cells, if the map is that sure."""


@dataclass(frozen=True)
class Pose:
    """33 points (x px, y px, visibility 0..1), the same in metres about the hips (`world`), and the middle of the hips
    and the end of the body (`ends`, px), which give the next region."""

    points: Float[np.ndarray, "33 3"]
    world: Float[np.ndarray, "33 3"]
    ends: Float[np.ndarray, "2 2"]


def find_pose(rgb: UInt8[np.ndarray, "height width 3"], networks: Networks) -> Pose | None:
    """The pose of the most certain person in the picture."""
    region = find_region(rgb, networks)
    return None if region is None else read_pose(rgb, region, networks)


def find_region(rgb: UInt8[np.ndarray, "height width 3"], networks: Networks) -> Region | None:
    """The region of the most certain person in the picture."""
    people = detect(rgb, PEOPLE, networks, LEAST_SCORE)
    return region_of(people[0].points[:2]) if people else None


def region_of(ends: Float[np.ndarray, "2 2"]) -> Region:
    """The region of a body by the middle of its hips and its end, which lies upwards in the region."""
    return around_circle(ends[0], ends[1], 90).scaled(GROWTH)


def read_pose(rgb: UInt8[np.ndarray, "height width 3"], region: Region, networks: Networks) -> Pose | None:
    """The pose in a region; None when the network sees no body there."""
    found = networks.run("pose_landmarks", region.cut(rgb, PIXELS))
    if found["presence"].item() <= LEAST_SCORE:
        return None
    rows = found["landmarks"].reshape(-1, 5)
    places = refined(rows[:, :2] / PIXELS, found["heatmap"][0])
    visibility = 1 / (1 + np.exp(-rows[:POINTS, 3:4].astype(np.float64)))
    world = found["world"].reshape(-1, 3)[:POINTS].astype(np.float64)
    world[:, :2] = world[:, :2] @ region.axes
    pixels = region.to_picture(places)
    return Pose(np.concatenate([pixels[:POINTS], visibility], 1), world, pixels[POINTS : POINTS + 2])


def refined(
    places: Float[np.ndarray, "points 2"], heatmap: Float[np.ndarray, "rows columns points"]
) -> Float[np.ndarray, "points 2"]:
    """Points (0..1) moved to the mean of their heat map around them, where the map is sure and they lie inside."""
    height, width = heatmap.shape[:2]
    places = places.astype(np.float64)
    cells = np.trunc(places * (width, height)).astype(int)
    inside = np.all((cells >= 0) & (cells < (width, height)), axis=1)
    reach = HEATMAP_REACH
    padded = np.full((height + 2 * reach, width + 2 * reach, heatmap.shape[2]), -np.inf, np.float32)
    padded[reach:-reach, reach:-reach] = heatmap
    offsets = np.arange(2 * reach + 1)
    column, row = np.where(inside[:, None], cells, 0).T
    points = np.arange(len(places))[:, None, None]
    windows = padded[row[:, None, None] + offsets[:, None], column[:, None, None] + offsets, points]
    weights = 1 / (1 + np.exp(-windows.astype(np.float64)))
    total = weights.sum((1, 2))
    x = column + (weights.sum(1) * (offsets - reach)).sum(1) / np.maximum(total, 1e-12)
    y = row + (weights.sum(2) * (offsets - reach)).sum(1) / np.maximum(total, 1e-12)
    sure = inside & (weights.max((1, 2)) >= HEATMAP_LEAST)
    return np.where(sure[:, None], np.stack([x / width, y / height], 1), places)


class PoseFollower:
    """Follows one person from picture to picture. Without a person the next picture is searched as a whole."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.forget()

    def forget(self) -> None:
        """Start anew, as at a cut."""
        self._region: Region | None = None
        self._points, self._world, self._ends = OneEuro(0.05, 80), OneEuro(0.1, 40), OneEuro(0.01, 10)
        self._visibility: np.ndarray | None = None

    def read(self, rgb: UInt8[np.ndarray, "height width 3"]) -> Pose | None:
        """The smoothed pose in the next picture."""
        region = self._region or find_region(rgb, self.networks)
        pose = None if region is None else read_pose(rgb, region, self.networks)
        if pose is None:
            self.forget()
            return None
        visibility = pose.points[:, 2:]
        if self._visibility is not None:
            visibility = self._visibility + VISIBILITY_SHARE * (visibility - self._visibility)
        self._visibility = visibility
        size = around_circle(pose.ends[0], pose.ends[1], 90).side
        points = np.concatenate([self._points(pose.points[:, :2], size), visibility], 1)
        ends = self._ends(pose.ends, size)
        self._region = region_of(ends)
        return Pose(points, self._world(pose.world), ends)
