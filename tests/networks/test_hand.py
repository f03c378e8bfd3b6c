"""Following a hand: which regions are read, and which readings count."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.truth_clips import half_size, keypoints_px, rendered, truth_clip
from stages.body.model import Body
from stages.networks.hand import HandFollower
from stages.networks.opened import Networks


def test_a_palm_outside_the_picture_is_not_read() -> None:
    """The hand networks run for a wrist inside, and not for one well outside the picture or hardly visible."""

    class CalledError(Exception):
        """A network was run."""

    class Counting(Networks):
        def run(self, name: str, picture: np.ndarray) -> dict[str, np.ndarray]:
            raise CalledError(name)

    rgb = np.zeros((100, 100, 3), np.uint8)
    pose = np.full((33, 3), 50.0)
    pose[[15, 17, 19]] = [[50, 80, 0.9], [45, 95, 0.9], [55, 95, 0.9]]
    follower = HandFollower(Counting(), True, 15, 17, 19)
    with pytest.raises(CalledError, match="hand_crop"):
        follower.read(rgb, pose)
    assert follower.read(rgb, pose + np.array([0, 40, 0])) is None
    assert follower.read(rgb, pose * np.array([1, 1, 0.1])) is None


def test_a_hand_of_the_other_side_is_not_taken(body: Body) -> None:
    """A rendered left hand is read within a tenth of the head's height by the left hand's follower, and not at all by
    the right hand's, sent to the same wrist."""
    motion = half_size(truth_clip(body, 1, 0))
    rgb, places = next(rendered(body, motion)), keypoints_px(body, motion)[0, :, :2]
    at = {name: places[number] for number, name in enumerate(body.keypoint_names)}
    pose = np.zeros((33, 3))
    for number in (15, 17, 19):
        pose[number] = (*at[f"pose_{number}"], 1)
    true = np.stack([at[f"left_hand_{number:02d}"] for number in range(21)])
    left, right = (HandFollower(Networks(), is_left, 15, 17, 19).read(rgb, pose) for is_left in (True, False))
    assert right is None
    assert left is not None
    head = np.linalg.norm(at["face_010"] - at["face_152"])
    assert np.linalg.norm(left[:, :2] - true, axis=1).mean() < 0.1 * head


def test_a_hand_read_as_of_the_other_side_is_read_again_in_a_larger_region() -> None:
    """The second reading counts where the network then sees a hand of this side; else the hand is not found."""
    rgb = np.full((200, 200, 3), 90, np.uint8)
    pose = np.zeros((33, 3))
    pose[[15, 17, 19]] = [[100, 120, 0.9], [90, 90, 0.9], [110, 90, 0.9]]

    class Reading(Networks):
        """The first hand is of the right side, the next ones of the left side with probability `left`."""

        def __init__(self, left: float) -> None:
            self.left, self.hands = left, 0

        def run(self, name: str, picture: np.ndarray) -> dict[str, np.ndarray]:
            if name == "hand_crop":
                return {"ends": np.array([128.0, 128, 128, 200])}
            self.hands += 1
            left = self.left if self.hands > 1 else 0.1
            rows = np.tile([112.0, 112, 0], (21, 1))
            return {"presence": np.array(0.9), "handedness": np.array(1 - left), "landmarks": rows}

    agreeing, refusing = Reading(0.9), Reading(0.3)
    assert HandFollower(agreeing, True, 15, 17, 19).read(rgb, pose) is not None
    assert agreeing.hands == 2
    assert HandFollower(refusing, True, 15, 17, 19).read(rgb, pose) is None
    assert refusing.hands == 3
