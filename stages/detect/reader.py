"""One frame after the other of one clip: MediaPipe Holistic in the person's crop, the hands it missed, the evidence.

Pixels of the source picture. Remembers what makes the next frame faster, never a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.config import DetectConfig
from stages.detect.crops import Box, Crop, cut
from stages.detect.evidence import evidence_of
from stages.detect.hands import hand_near_wrist, settled
from stages.detect.matte import person_matte
from stages.detect.networks import Networks, is_too_small, world_points
from stages.detect.observations import EVIDENCE

SMALLEST_CROP = 320
"""Smaller crops are enlarged to this."""
MATTE_EVERY = 5
"""Frames with a face are checked against the matte this seldom, at any rate: a face is proof enough of a person."""
PATIENCE = 3
"""After so many frames without a hand at a wrist, at any rate ..."""
LOOK_AGAIN_SECONDS = 0.11
"""... look for it this often only: a look costs 30 ms, and how long a hand stays is told in seconds. At .2
the right hand was valid in .17 of d1 for .21, and in .70 of d2 for .73."""


@dataclass(frozen=True)
class Reading:
    """What the networks said about one frame; parts that were not found are absent."""

    points: dict[str, Float[np.ndarray, "points 3"]]
    evidence: Float[np.ndarray, "4"]


class Reader:
    """Reads one frame after the other of one clip; remembers what makes that faster, never a picture."""

    def __init__(self, networks: Networks, config: DetectConfig, is_photo: bool, fps: float) -> None:
        self.look_again = max(1, round(LOOK_AGAIN_SECONDS * fps))
        self.networks, self.config, self.is_photo = networks, config, is_photo
        self._crop: Box | None = None
        self._misses = {"left_hand": 0, "right_hand": 0}
        self._since_matte = MATTE_EVERY

    def read(
        self,
        rgb: UInt8[np.ndarray, "height width 3"],
        box: Box,
        expected: tuple[Float[np.ndarray, "2"], float] | None,
    ) -> Reading:
        """Holistic in the crop `box`, hands that it missed, and the evidence for a person."""
        crop = cut(rgb, box, self.config.crop_pixels, SMALLEST_CROP)
        if is_too_small(crop.rgb):
            return Reading({}, np.full(len(EVIDENCE), np.nan, np.float32))
        if self._crop is not None and not np.array_equal(self._crop, box):
            self.networks.forget("holistic")
        self._crop = box
        found = holistic_points(crop, self.networks, "holistic_photo" if self.is_photo else "holistic")
        found = settled(found)
        if "pose" in found and self.config.find_missed_hands:
            self._find_missed_hands(rgb, found)
        is_due = "face" not in found or self._since_matte >= MATTE_EVERY
        self._since_matte = 1 if is_due else self._since_matte + 1
        matte = person_matte(rgb, crop.box, self.networks) if is_due and "pose" in found else None
        return Reading(found, evidence_of(matte, found, expected))

    def _find_missed_hands(
        self, rgb: UInt8[np.ndarray, "height width 3"], found: dict[str, Float[np.ndarray, "points 3"]]
    ) -> None:
        """Fill in missing hands; after a few misses in a row, look at some of the frames only."""
        for hand, misses in self._misses.items():
            is_worth_it = misses < PATIENCE or misses % self.look_again == 0
            rows = None
            if hand not in found and is_worth_it:
                rows = hand_near_wrist(rgb, found, hand, self.networks, self.is_photo)
            if rows is not None:
                found[hand] = rows
            self._misses[hand] = 0 if hand in found else misses + 1


def holistic_points(crop: Crop, networks: Networks, name: str) -> dict[str, Float[np.ndarray, "points 3"]]:
    """Everything Holistic finds in the crop, in pixels of the source; absent parts are left out."""
    result = networks.run(name, crop.rgb)
    found = {
        "pose": crop.points(result.pose_landmarks, "visibility"),
        "pose_world": world_points(result.pose_world_landmarks),
        "face": crop.points(result.face_landmarks, "z"),
        "left_hand": crop.points(result.left_hand_landmarks, "z"),
        "right_hand": crop.points(result.right_hand_landmarks, "z"),
    }
    return {name: rows for name, rows in found.items() if rows is not None}
