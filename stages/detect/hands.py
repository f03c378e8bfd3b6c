"""Find hands that Holistic missed: run the hand network on a crop around the wrist of the pose.

The nearer wrist decides between left and right. A hand that the network takes for one of the other side is left out.
Pixels of the source picture.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import Crop, cut_square
from stages.networks.hand import LEAST_SIDE, find_hands
from stages.networks.opened import Networks, is_too_small

WRISTS = {"left_hand": 15, "right_hand": 16}
ELBOWS = {"left_hand": 13, "right_hand": 14}
KNUCKLES = {"left_hand": [17, 19], "right_hand": [18, 20]}
HAND_PIXELS = 256
"""Side of the crop, px; the palm detector reads 192."""
NEAR_WRIST = 0.35
"""Largest distance of the hand's root from the wrist, as a share of the crop's side."""
VISIBLE_WRIST = 0.3
SMALLEST_HAND = 24
"""Crops narrower than this, in px of the source, are not searched."""
SAME_HAND = 0.2
"""Two hands are the same hand when the mean distance of their points is below this share of the hand's size."""
WRISTS_APART = 0.35
"""Two wrists are at the same place when their distance is below this share of the hand's size."""
MUCH_NEARER = 0.5
"""A hand belongs to the other arm when the distance to that wrist is below this share of the distance to its own."""
COVERED = 0.5
"""In a clip, a wrist nearer than this, in hand sizes, to the points of the other hand is not searched. Of 53 such
searches on d1, d2, d5 and d7 two found a hand, which the gates rejected. They were a quarter of all searches."""
VIDEO_SCALE = 1.5
SURE_PALM, DOUBTFUL_PALM = 0.35, 0.15
"""Least scores of the palm detector. A doubtful palm counts in a photo, if ..."""
SURE_SIDE = 0.7
"""... the network is at least this sure of left or right."""
PHOTO_SCALES = (1.5, 2.2, 1.1)
"""Sides of the crops, in forearm lengths. 1.5 finds the raised hand of p3, 1.1 the hand of p8 at the lower edge."""
OTHER = {"left_hand": "right_hand", "right_hand": "left_hand"}


def forearm_length(pose: Float[np.ndarray, "33 3"], hand: str) -> float:
    """Distance from elbow to wrist in px, at least 0.45 of the shoulder width, because of foreshortened arms."""
    forearm = float(np.linalg.norm(pose[WRISTS[hand], :2] - pose[ELBOWS[hand], :2]))
    shoulders = float(np.linalg.norm(pose[11, :2] - pose[12, :2]))
    return max(forearm, 0.45 * shoulders)


def hand_near_wrist(
    rgb: UInt8[np.ndarray, "height width 3"],
    found: dict[str, Float[np.ndarray, "points 3"]],
    hand: str,
    networks: Networks,
    is_photo: bool,
) -> Float[np.ndarray, "21 3"] | None:
    """The 21 points of the `left_hand` or `right_hand`: x, y, z px. None when no hand is seen at that wrist.

    `found` holds the pose and perhaps the other hand, which is not returned again. A photo is searched at several
    scales, and there a doubtful hand of the palm detector counts if the network's own left or right agrees.
    """
    height, width = rgb.shape[:2]
    wrist, visibility = found["pose"][WRISTS[hand], :2], found["pose"][WRISTS[hand], 2]
    inside = 0 <= wrist[0] < width and 0 <= wrist[1] < height
    if visibility < VISIBLE_WRIST or not inside:
        return None
    if not is_photo and _is_covered(wrist, found.get(OTHER[hand])):
        return None
    centre = (wrist + found["pose"][KNUCKLES[hand], :2].mean(0)) / 2
    tries = [(least, scale) for least in (SURE_PALM, DOUBTFUL_PALM) for scale in PHOTO_SCALES]
    for least, scale in tries if is_photo else [(SURE_PALM, VIDEO_SCALE)]:
        side = scale * forearm_length(found["pose"], hand)
        crop = cut_square(rgb, centre, side, HAND_PIXELS)
        if side < SMALLEST_HAND or is_too_small(crop.rgb):
            continue
        candidates = [
            rows
            for rows, is_sure in _hands_in(crop, hand, networks, least)
            if (is_sure or least == SURE_PALM)
            and np.linalg.norm(rows[0, :2] - wrist) < NEAR_WRIST * side
            and not is_same_hand(rows, found.get(OTHER[hand]))
        ]
        if candidates:
            return min(candidates, key=lambda rows: float(np.linalg.norm(rows[0, :2] - wrist)))
    return None


def _is_covered(wrist: Float[np.ndarray, "2"], other: Float[np.ndarray, "21 3"] | None) -> bool:
    """True when the other hand lies on this wrist."""
    if other is None:
        return False
    size = np.ptp(other[:, :2], axis=0).max()
    return bool(np.linalg.norm(other[:, :2] - wrist, axis=1).min() < COVERED * size)


def _hands_in(crop: Crop, hand: str, networks: Networks, least: float) -> list[tuple[Float[np.ndarray, "21 3"], bool]]:
    """Every hand in the crop whose palm has at least that score, and whether the network is sure that it is `hand`.
    Hands of the other side are left out."""
    found = [(each, each.side(hand == "left_hand")) for each in find_hands(crop.rgb, networks, least)]
    return [(crop.to_source(each.points, scale_z=True), side > SURE_SIDE) for each, side in found if side >= LEAST_SIDE]


def assign_hands_to_arms(found: dict[str, Float[np.ndarray, "points 3"]]) -> dict[str, Float[np.ndarray, "points 3"]]:
    """The same points with each hand on the arm that it belongs to.

    A hand that was found twice stays on the nearer arm. A hand at the wrist of the other arm moves to that arm if that
    arm has no hand (the network of the 21 points ignores left and right), and is dropped if it has one (clip d1).
    """
    found = dict(found)
    doubled = duplicate_hand(found)
    if doubled is not None:
        del found[doubled]
    for hand, other in OTHER.items():
        if hand in found and "pose" in found and _is_on_other_arm(found, hand, other):
            rows = found.pop(hand)
            found.setdefault(other, rows)
            break
    return found


def _is_on_other_arm(found: dict[str, Float[np.ndarray, "points 3"]], hand: str, other: str) -> bool:
    root, pose = found[hand][0, :2], found["pose"]
    own, theirs = (float(np.linalg.norm(root - pose[WRISTS[side], :2])) for side in (hand, other))
    size = float(np.ptp(found[hand][:, :2], axis=0).max())
    return theirs < MUCH_NEARER * own and own > WRISTS_APART * size


def duplicate_hand(found: dict[str, Float[np.ndarray, "points 3"]]) -> str | None:
    """The hand that is a second detection of the other hand, because it is farther from its own arm; else None.

    Two palms that touch also lie on each other, but then both wrists are at the same place and both hands stay.
    """
    if not {"pose", "left_hand", "right_hand"} <= found.keys():
        return None
    if not is_same_hand(found["left_hand"], found["right_hand"]):
        return None
    pose = found["pose"][:, :2]
    size = np.ptp(found["left_hand"][:, :2], axis=0).max()
    if np.linalg.norm(pose[15] - pose[16]) < WRISTS_APART * size:
        return None
    return max(WRISTS, key=lambda hand: float(np.linalg.norm(found[hand][0, :2] - pose[WRISTS[hand]])))


def is_same_hand(a: Float[np.ndarray, "21 3"], b: Float[np.ndarray, "21 3"] | None) -> bool:
    """True when two hands lie on each other, point by point."""
    if b is None:
        return False
    size = max(np.ptp(a[:, :2], axis=0).max(), np.ptp(b[:, :2], axis=0).max(), 1e-6)
    return bool(np.linalg.norm(a[:, :2] - b[:, :2], axis=1).mean() < SAME_HAND * size)
