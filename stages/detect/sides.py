"""How the pose moves from frame to frame, whatever its labels: exchanged sides are repaired, lone jumps are found.

On a person seen from behind, or whose face is hidden, the network may turn the person round for some frames: every
point stays where it is, and left and right are exchanged. Each frame is kept or exchanged by the cheapest path through
the clip (Viterbi over two states). The path pays for the movement of shoulders, elbows, wrists, hips, knees and ankles
from frame to frame, which is small if the labels fit. Knows nothing of the body or of time before a long gap.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from stages.detect.observations import PARTS, Observations

SIDES = "left and right exchanged"
"""Name of the gate. It rejects nothing: it repairs the frames that it counts."""
PAIRS = ((11, 12), (13, 14), (15, 16), (23, 24), (25, 26), (27, 28))
"""Left and right shoulder, elbow, wrist, hip, knee, ankle."""
POSE_ORDER = (0, 4, 5, 6, 1, 2, 3, *(number + 1 if number % 2 else number - 1 for number in range(7, 33)))
"""Pose points with left and right exchanged."""
MOST_MOVEMENT = 0.5
"""Movement of one point between two frames counts up to this, in torso lengths: where another person or shot follows,
both labellings move far and neither is favoured."""
SWITCH_PRICE = 0.05
"""Price of a change of the labelling, in torso lengths. On nine dev clips and three views of real truth an exchange
between two frames would cost 0.12 to 0.6 without it; where the network exchanged the sides (beam cam02) it gains 0.3
to 0.6."""
EXCHANGED_PRICE = 0.005
"""Price of every exchanged frame: where the clip does not say which labelling is right, most frames keep theirs."""
FACE_PRICE = 0.1
"""Price of an exchanged frame with a face: where a face is seen the network hardly errs. Chosen here."""
LONGEST_GAP = 0.5
"""Seconds without the person after which movement says nothing."""
JUMP, JUMP_RATIO, JUMP_SECONDS = 0.3, 1.5, 0.1
"""A lone jump is farther than the first from a frame before and one after it, and by the second factor farther than
these are from each other. A steady movement has a factor of 0.5. Between two labellings the network gives such frames,
with the shoulders on top of each other (beam cam02), up to three in a row. The third is the time between the two."""


def exchanged_sides(
    observations: Observations, body: Bool[np.ndarray, "frames"], face: Bool[np.ndarray, "frames"]
) -> Bool[np.ndarray, "frames"]:
    """Frames whose labels are exchanged. `body` and `face`: the frames in which the gates accept them."""
    rows = np.flatnonzero(body & _has_pose(observations))
    exchanged = np.zeros(len(observations), bool)
    if len(rows) < 2:
        return exchanged
    kept, crossed = _movement(observations, rows)
    price = EXCHANGED_PRICE + FACE_PRICE * face[rows]
    exchanged[rows] = _cheapest_path(kept, crossed, price)
    return exchanged


def lone_jumps(observations: Observations) -> Bool[np.ndarray, "frames"]:
    """Frames whose pose is far from one before and one after it within JUMP_SECONDS, which are near each other,
    whatever the labels."""
    rows, jumps = np.flatnonzero(_has_pose(observations)), np.zeros(len(observations), bool)
    longest = max(JUMP_SECONDS, 2 / observations.fps) + 0.5 / observations.fps
    times, reach = observations.pts_seconds[rows], int(longest * observations.fps)
    moved = {span: _movement_over(observations, rows, span) for span in range(1, min(reach, len(rows) - 1) + 1)}
    for span in range(2, len(moved) + 1):
        starts = np.flatnonzero(times[span:] - times[:-span] <= longest)
        for before in range(1, span):
            nearer = np.minimum(moved[before][starts], moved[span - before][starts + before])
            jumps[rows[starts + before]] |= (nearer > JUMP) & (nearer > JUMP_RATIO * moved[span][starts])
    return jumps


def _movement_over(observations: Observations, rows: np.ndarray, span: int) -> Float[np.ndarray, "links"]:
    """Movement from each of the rows to the one `span` rows later, whatever the labels."""
    moved = np.empty(len(rows) - span)
    for start in range(min(span, len(moved))):
        moved[start::span] = np.minimum(*_movement(observations, rows[start::span]))
    return moved


def _has_pose(observations: Observations) -> Bool[np.ndarray, "frames"]:
    return np.isfinite(observations.pose[:, 11, 0])


def with_sides_exchanged(observations: Observations, rows: Bool[np.ndarray, "frames"]) -> Observations:
    """The observations with left and right exchanged in these frames. Depths stay with their points: on `beam`,
    a clip with 3-D truth, the depth of every point is right although its label is wrong."""
    points = {name: getattr(observations, name).copy() for name in ("pose", "pose_world", "left_hand", "right_hand")}
    for name in ("pose", "pose_world"):
        points[name][rows] = points[name][rows][:, list(POSE_ORDER)]
    points["left_hand"][rows], points["right_hand"][rows] = observations.right_hand[rows], observations.left_hand[rows]
    found, score = observations.found.copy(), observations.score.copy()
    left, right = PARTS.index("left_hand"), PARTS.index("right_hand")
    for array in (found, score):
        array[rows, left], array[rows, right] = array[rows, right], array[rows, left]
    return replace(observations, **points, found=found, score=score)


def _movement(observations: Observations, rows: np.ndarray) -> tuple[Float[np.ndarray, "links"], ...]:
    """Movement between neighbouring accepted frames with labels kept and with labels exchanged, in torso lengths: mean
    over pairs, weighted by visibility. Depths come from the world landmarks."""
    flat, world = observations.pose[rows].astype(float), observations.pose_world[rows].astype(float)
    points = np.concatenate([flat[..., :2] / _torso(flat[..., :2]), world[..., 2:] / _torso(world)], -1)
    pairs = np.array(PAIRS)
    now, before = points[1:][:, pairs], points[:-1][:, pairs]
    seen = np.minimum(flat[1:, :, 2], flat[:-1, :, 2])[:, pairs].min(-1)
    gap = np.diff(observations.pts_seconds[rows])
    weight = np.where(gap[:, None] <= LONGEST_GAP, seen, 0) / len(PAIRS)
    moves = [
        np.minimum(np.linalg.norm(now - other, axis=-1), MOST_MOVEMENT).sum(-1)
        for other in (before, before[:, :, ::-1])
    ]
    return tuple((weight * move).sum(1) for move in moves)


def _torso(points: Float[np.ndarray, "frames 33 axes"]) -> float:
    """Median length of the torso, or width of the shoulders where that is longer."""
    long = np.linalg.norm(points[:, [11, 12]].mean(1) - points[:, [23, 24]].mean(1), axis=-1)
    wide = np.linalg.norm(points[:, 11] - points[:, 12], axis=-1)
    return max(float(np.median(np.maximum(long, wide))), 1e-6)


def _cheapest_path(
    kept: Float[np.ndarray, "links"], crossed: Float[np.ndarray, "links"], price: Float[np.ndarray, "frames"]
) -> Bool[np.ndarray, "frames"]:
    """The cheapest labelling of all frames (Viterbi 1967): False keeps, True exchanges."""
    cost = np.array([0.0, price[0]])
    came_from = np.zeros((len(price), 2), int)
    for frame, (same, other) in enumerate(zip(kept, crossed, strict=True), start=1):
        step = np.array([[same, other + SWITCH_PRICE], [other + SWITCH_PRICE, same]])
        total = cost[:, None] + step
        came_from[frame] = total.argmin(0)
        cost = total.min(0) + np.array([0.0, price[frame]])
    path = [int(cost.argmin())]
    for frame in range(len(price) - 1, 0, -1):
        path.append(int(came_from[frame, path[-1]]))
    return np.array(path[::-1], bool)
