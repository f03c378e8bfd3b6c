"""MediaPipe's hand networks: 21 points of a hand, found from the pose's wrist or by the palm detector.

As in mediapipe/modules/holistic_landmark and hand_landmark of 0.10.21 (model_complexity 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.networks.detection import PALMS, detect
from stages.networks.opened import Networks
from stages.networks.region import Region, angle_of, around_box, around_circle, around_turned_box, follows

POINTS = 21
PIXELS, CROP_PIXELS = 224, 256
LEAST_PRESENCE = 0.5
LEAST_WRIST_VISIBILITY = 0.1
LEAST_SIDE, OWN_SIDE = 0.2, 0.5
"""Below the first probability of its own side a hand is the other hand, or is read mirrored: the network took the palm
for the back. Of 138 such readings of rendered hands (seven clips of `benchmarks.truth_clips`, 809 readings) 96 % were
wrong by more than 0.18 head heights, and they were 79 % of all that were. Another reading counts above the second."""
WIDER = 1.3
"""A larger region for such a hand. With it 57 of the 138 were read as of their own side, 55 of them rightly."""
OUTSIDE = 0.05
"""A palm whose middle lies this far outside the picture, in sides of its region, is not read. Of 607 hands found on d1,
d2, d5 and d7 none was as far outside; 7 were between 0 and this."""
STEADY = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
"""The points of the wrist and the palm, without the ends of the fingers."""
GROWTH, GROWTH_OF_POSE, GROWTH_OF_PALM = 2.0, 2.7, 2.6
"""Side of a region relative to the box of the steady points, to twice the pose's palm, and to the box of a palm."""
UP, PALM_UP = 0.1, 0.5
"""Shares of the side by which regions are moved towards the fingers before they are scaled."""
Z_SCALE = 0.4
"""The network's z is divided by this to have the scale of x."""
MOST_HANDS, SAME_REGION = 2, 0.5
"""Most hands of one picture, and the overlap (IoU) above which a region replaces one before it."""


@dataclass(frozen=True)
class Hand:
    """21 points (x, y, z px), and the probability that it is a left hand in a picture that is not mirrored."""

    points: Float[np.ndarray, "21 3"]
    left: float

    def side(self, is_left: bool) -> float:
        """The probability that it is a hand of this side."""
        return self.left if is_left else 1 - self.left


def find_hands(rgb: UInt8[np.ndarray, "height width 3"], networks: Networks, least: float) -> list[Hand]:
    """The hands whose palms the detector finds with a score of at least `least`."""
    regions: list[Region] = []
    for palm in detect(rgb, PALMS, networks, least)[:MOST_HANDS]:
        box = palm.box.reshape(2, 2)
        region = around_box(box, angle_of(palm.points[0], palm.points[2], 90)).scaled(GROWTH_OF_PALM, PALM_UP)
        regions = [each for each in regions if _overlap(each, region) <= SAME_REGION] + [region]
    hands = [read_hand(rgb, region, networks) for region in regions]
    return [hand for hand in hands if hand is not None]


def _overlap(a: Region, b: Region) -> float:
    """IoU of two squares, taken as upright, as MediaPipe does."""
    low = np.maximum(a.centre - a.side / 2, b.centre - b.side / 2)
    high = np.minimum(a.centre + a.side / 2, b.centre + b.side / 2)
    both = float(np.clip(high - low, 0, None).prod())
    return both / max(a.side**2 + b.side**2 - both, 1e-12)


def read_hand(rgb: UInt8[np.ndarray, "height width 3"], region: Region, networks: Networks) -> Hand | None:
    """The hand in a region; None when the network sees none there."""
    found = networks.run("hand_landmarks", region.cut(rgb, PIXELS))
    if found["presence"].item() <= LEAST_PRESENCE:
        return None
    rows = found["landmarks"].reshape(POINTS, 3).astype(np.float64) / PIXELS
    rows[:, 2] /= Z_SCALE
    return Hand(region.to_picture(rows), 1 - found["handedness"].item())


def region_of_hand(points: Float[np.ndarray, "21 3"]) -> Region:
    """The region around a hand of the picture before, its fingers up."""
    fingers = ((points[5, :2] + points[13, :2]) / 2 + points[9, :2]) / 2
    return around_turned_box(points[STEADY], angle_of(points[0, :2], fingers, 90)).scaled(GROWTH, UP)


class HandFollower:
    """Follows one hand of a person, near the wrist of the pose, from picture to picture."""

    def __init__(self, networks: Networks, is_left: bool, wrist: int, little: int, index: int) -> None:
        """`wrist`, `little` and `index` are the numbers of the hand's points in the pose."""
        self.networks, self.is_left = networks, is_left
        self._numbers = wrist, little, index
        self.forget()

    def forget(self) -> None:
        """Start anew, as at a cut."""
        self._points: Float[np.ndarray, "21 3"] | None = None

    def read(
        self, rgb: UInt8[np.ndarray, "height width 3"], pose: Float[np.ndarray, "33 3"]
    ) -> Float[np.ndarray, "21 3"] | None:
        """The hand's points in the next picture."""
        before, self._points = self._points, None
        wrist, little, index = pose[list(self._numbers), :2]
        if pose[self._numbers[0], 2] <= LEAST_WRIST_VISIBILITY:
            return None
        middle = (2 * index + little) / 3
        rough = Region(middle, 2 * float(np.linalg.norm(middle - wrist)), angle_of(wrist, middle, 90))
        rough = rough.scaled(GROWTH_OF_POSE, UP)
        room = OUTSIDE * rough.side
        if np.any(middle < -room) or np.any(middle > np.array(rgb.shape[1::-1]) + room):
            return None
        region = nearer = self._nearer(rgb, rough)
        if before is not None:
            last = region_of_hand(before)
            if follows(last, before, region, degrees=40, shift=0.2, scale=0.4, margin=-0.1):
                region = last
        hand = read_hand(rgb, region, self.networks)
        if hand is not None and hand.side(self.is_left) < LEAST_SIDE:
            hand = self._read_again(rgb, (nearer.scaled(WIDER), rough))
        self._points = None if hand is None else hand.points
        return self._points

    def _read_again(self, rgb: UInt8[np.ndarray, "height width 3"], regions: tuple[Region, ...]) -> Hand | None:
        """The hand in the first of the regions where it is one of this side."""
        hands = (read_hand(rgb, region, self.networks) for region in regions)
        return next((hand for hand in hands if hand is not None and hand.side(self.is_left) > OWN_SIDE), None)

    def _nearer(self, rgb: UInt8[np.ndarray, "height width 3"], rough: Region) -> Region:
        """The hand's region inside a rough one, by a small network."""
        ends = self.networks.run("hand_crop", rough.cut(rgb, CROP_PIXELS))["ends"].reshape(2, 2) / CROP_PIXELS
        centre, edge = rough.to_picture(ends)
        return around_circle(centre, edge, -90).scaled(1.0, UP)
