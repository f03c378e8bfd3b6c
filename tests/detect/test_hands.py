"""Where a missing hand is searched, and where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from stages.detect.hands import hand_near_wrist
from stages.networks.opened import Networks

RGB = np.zeros((200, 200, 3), np.uint8)


class CalledError(Exception):
    """The hand network was called."""


class FakeNetworks(Networks):
    """Networks that raise CalledError when one is called."""

    def run(self, name: str, rgb: np.ndarray):
        raise CalledError


def _seen(left_wrist: float) -> dict[str, np.ndarray]:
    """A right hand 40 px long at x 100 to 140, and the left arm's wrist at that x."""
    pose = np.full((33, 3), 90, np.float32)
    pose[[13, 14], :2] = 20
    pose[15] = left_wrist, 100, 1
    pose[[17, 19]] = left_wrist, 110, 1
    hand = np.stack([np.linspace(100, 140, 21), np.full(21, 100.0), np.zeros(21)], 1).astype(np.float32)
    return {"pose": pose, "right_hand": hand}


def test_a_wrist_under_the_other_hand_is_not_searched_in_a_clip() -> None:
    """A wrist within half a hand size of the other hand is not searched; farther away, and in a photo, it is."""
    assert hand_near_wrist(RGB, _seen(155), "left_hand", FakeNetworks(), is_photo=False) is None
    with pytest.raises(CalledError):
        hand_near_wrist(RGB, _seen(165), "left_hand", FakeNetworks(), is_photo=False)
    with pytest.raises(CalledError):
        hand_near_wrist(RGB, _seen(155), "left_hand", FakeNetworks(), is_photo=True)
