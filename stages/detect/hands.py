"""Hands that Holistic missed: the hand network on a cut-out around the wrist that the pose gives.

Left and right are settled by which wrist the hand hangs on, never by the network's own handedness (it assumes mirrored
pictures). Pixels of the source picture.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import Crop, cut_square
from stages.detect.networks import Networks, is_too_small

WRISTS = {"left_hand": 15, "right_hand": 16}
ELBOWS = {"left_hand": 13, "right_hand": 14}
KNUCKLES = {"left_hand": [17, 19], "right_hand": [18, 20]}
HAND_PIXELS = 256
"""Side of the cut-out; the palm detector reads 192."""
NEAR_WRIST = 0.35
"""A hand hangs on a wrist when its root is within this share of the cut-out's side."""
VISIBLE_WRIST = 0.3
SMALLEST_HAND = 24
"""Cut-outs narrower than this, in source pixels, show nothing."""
SAME_HAND = 0.2
"""Mean distance of corresponding points over the hand's size, below which two hands are one."""
WRISTS_APART = 0.35
"""The arms' wrists lie together when they are nearer than this share of the hand's size."""
MUCH_NEARER = 0.5
"""A hand belongs to the other arm when that wrist is nearer by this factor."""
COVERED = 0.5
"""In a clip, a wrist this near, in hand sizes, to the points of the hand that is seen is not searched: of 53 such looks
on d1, d2, d5 and d7 two found a hand, and the gates refused it; they were a quarter of all looks."""
VIDEO_SCALE = 1.5
PHOTO_SCALES = (1.5, 2.2, 1.1)
"""Sides of the cut-outs in forearm lengths. 1.5 finds p3's raised hand, 1.1 p8's at the lower edge."""
OTHER = {"left_hand": "right_hand", "right_hand": "left_hand"}


def forearm_length(pose: Float[np.ndarray, "33 3"], hand: str) -> float:
    """Elbow to wrist in px, never less than a share of the shoulder width (foreshortened arms)."""
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

    `found` holds the pose and perhaps the other hand, which is not taken twice. A photo gets several tries, and there
    the palm detector's doubtful finds count when the network's own left and right agree.
    """
    height, width = rgb.shape[:2]
    wrist, visibility = found["pose"][WRISTS[hand], :2], found["pose"][WRISTS[hand], 2]
    inside = 0 <= wrist[0] < width and 0 <= wrist[1] < height
    if visibility < VISIBLE_WRIST or not inside:
        return None
    if not is_photo and _is_covered(wrist, found.get(OTHER[hand])):
        return None
    centre = (wrist + found["pose"][KNUCKLES[hand], :2].mean(0)) / 2
    tries = [("hands", scale) for scale in PHOTO_SCALES] + [("hands_doubtful", scale) for scale in PHOTO_SCALES]
    for network, scale in tries if is_photo else [("hands", VIDEO_SCALE)]:
        side = scale * forearm_length(found["pose"], hand)
        crop = cut_square(rgb, centre, side, HAND_PIXELS)
        if side < SMALLEST_HAND or is_too_small(crop.rgb):
            continue
        candidates = [
            rows
            for rows, is_sure in _hands_in(crop, hand, networks, network)
            if (is_sure or network == "hands")
            and np.linalg.norm(rows[0, :2] - wrist) < NEAR_WRIST * side
            and not is_same_hand(rows, found.get(OTHER[hand]))
        ]
        if candidates:
            return min(candidates, key=lambda rows: float(np.linalg.norm(rows[0, :2] - wrist)))
    return None


def _is_covered(wrist: Float[np.ndarray, "2"], other: Float[np.ndarray, "21 3"] | None) -> bool:
    """True where the other hand lies on this wrist."""
    if other is None:
        return False
    size = np.ptp(other[:, :2], axis=0).max()
    return bool(np.linalg.norm(other[:, :2] - wrist, axis=1).min() < COVERED * size)


def _hands_in(crop: Crop, hand: str, networks: Networks, network: str) -> list[tuple[Float[np.ndarray, "21 3"], bool]]:
    """Every hand in the cut-out, and whether the network is sure that it is a `hand` (it calls left what is right)."""
    result = networks.run(network, crop.rgb)
    called = {"left_hand": "Right", "right_hand": "Left"}[hand]
    hands = []
    for landmarks, side in zip(result.multi_hand_landmarks or [], result.multi_handedness or [], strict=True):
        rows = crop.points(landmarks, "z")
        if rows is not None:
            hands.append((rows, side.classification[0].label == called and side.classification[0].score > 0.7))
    return hands


def settled(found: dict[str, Float[np.ndarray, "points 3"]]) -> dict[str, Float[np.ndarray, "points 3"]]:
    """The same findings with each hand on the arm it hangs on.

    A hand seen twice stays on the nearer arm. A hand that hangs on the other arm's wrist moves over when that arm has
    none (the network that draws 21 points does not care about left and right), and goes when it has one (clip d1).
    """
    found = dict(found)
    doubled = doubled_hand(found)
    if doubled is not None:
        del found[doubled]
    for hand, other in OTHER.items():
        if hand in found and "pose" in found and _hangs_on(found, hand, other):
            rows = found.pop(hand)
            found.setdefault(other, rows)
            break
    return found


def _hangs_on(found: dict[str, Float[np.ndarray, "points 3"]], hand: str, other: str) -> bool:
    root, pose = found[hand][0, :2], found["pose"]
    own, theirs = (float(np.linalg.norm(root - pose[WRISTS[side], :2])) for side in (hand, other))
    size = float(np.ptp(found[hand][:, :2], axis=0).max())
    return theirs < MUCH_NEARER * own and own > WRISTS_APART * size


def doubled_hand(found: dict[str, Float[np.ndarray, "points 3"]]) -> str | None:
    """Of two hands that lie on each other the one farther from its own arm; None when there are two hands.

    Palms laid together lie on each other too, but then the wrists of the arms do as well, and both stay.
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
    """True when two hands lie on each other, point for point."""
    if b is None:
        return False
    size = max(np.ptp(a[:, :2], axis=0).max(), np.ptp(b[:, :2], axis=0).max(), 1e-6)
    return bool(np.linalg.norm(a[:, :2] - b[:, :2], axis=1).mean() < SAME_HAND * size)
