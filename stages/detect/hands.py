"""Hands that Holistic missed: the hand network on a cut-out around the wrist that the pose gives.

Left and right are settled by which wrist the hand hangs on, never by the network's own handedness (it assumes mirrored
pictures). Pixels of the source picture.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import cut
from stages.detect.networks import Networks, is_too_small

WRISTS = {"left_hand": 15, "right_hand": 16}
ELBOWS = {"left_hand": 13, "right_hand": 14}
KNUCKLES = {"left_hand": [17, 19], "right_hand": [18, 20]}
HAND_PIXELS = 256
"""Side of the cut-out; the palm detector reads 192."""
NEAR_WRIST = 0.35
"""A hand hangs on a wrist when its root is within this share of the cut-out's side."""
VISIBLE_WRIST = 0.3


def forearm_length(pose: Float[np.ndarray, "33 3"], hand: str) -> float:
    """Elbow to wrist in px, never less than a share of the shoulder width (foreshortened arms)."""
    forearm = float(np.linalg.norm(pose[WRISTS[hand], :2] - pose[ELBOWS[hand], :2]))
    shoulders = float(np.linalg.norm(pose[11, :2] - pose[12, :2]))
    return max(forearm, 0.45 * shoulders)


def hand_near_wrist(
    rgb: UInt8[np.ndarray, "height width 3"],
    pose: Float[np.ndarray, "33 3"],
    hand: str,
    networks: Networks,
    scales: tuple[float, ...] = (1.5,),
) -> Float[np.ndarray, "21 3"] | None:
    """The 21 points of the hand on the `left_hand` or `right_hand` wrist: x, y, z px. None when not found.

    Tries cut-outs of `scales` forearm lengths, until one shows a hand whose root lies at the wrist.
    """
    height, width = rgb.shape[:2]
    wrist, visibility = pose[WRISTS[hand], :2], pose[WRISTS[hand], 2]
    inside = 0 <= wrist[0] < width and 0 <= wrist[1] < height
    if visibility < VISIBLE_WRIST or not inside:
        return None
    centre = (wrist + pose[KNUCKLES[hand], :2].mean(0)) / 2
    for scale in scales:
        side = scale * forearm_length(pose, hand)
        box = np.concatenate([centre - side / 2, centre + side / 2])
        crop = cut(rgb, box, HAND_PIXELS * 2, HAND_PIXELS)
        if is_too_small(crop.rgb) or side < 24:
            continue
        found = networks.run("hands", crop.rgb).multi_hand_landmarks or []
        hands = [crop.points(landmarks, "z") for landmarks in found]
        distances = [float(np.linalg.norm(rows[0, :2] - wrist)) for rows in hands if rows is not None]
        if distances and min(distances) < NEAR_WRIST * side:
            return hands[int(np.argmin(distances))]
    return None
