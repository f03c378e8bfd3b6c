"""Read the frames of one clip in order: MediaPipe Holistic in the person's crop, hands that it missed, the evidence.

Pixels of the source picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import Box, Crop, cut
from stages.detect.evidence import evidence_of
from stages.detect.hands import assign_hands_to_arms, hand_near_wrist
from stages.detect.matte import person_matte
from stages.detect.observations import EVIDENCE
from stages.networks.holistic import Holistic
from stages.networks.opened import Networks, is_too_small

CROP_PIXELS = 768
"""Longer side of the crop that Holistic reads; larger crops are reduced to it."""
SMALLEST_CROP = 320
"""Smaller crops are enlarged to this longer side, px."""
MATTE_EVERY = 5
"""Of the frames with a face one in this number is checked with the matte, at every frame rate: a face is strong
evidence of a person."""
PATIENCE = 3
"""A missing hand is searched in this many frames in a row, at every frame rate. After that ..."""
LOOK_AGAIN_SECONDS = 0.11
"""... it is searched once per this time: one search costs 30 ms. With 0.2 s the right hand was valid in 0.17 of the
frames of d1 instead of 0.21, and in 0.70 of the frames of d2 instead of 0.73."""


@dataclass(frozen=True)
class Reading:
    """The landmarks and the evidence of one frame. Parts that were not found are absent."""

    points: dict[str, Float[np.ndarray, "points 3"]]
    evidence: Float[np.ndarray, "3"]


class Reader:
    """Reads the frames of one clip in order. It keeps state that makes the next frame faster, but no picture."""

    def __init__(self, networks: Networks, is_photo: bool, fps: float) -> None:
        self.look_again = max(1, round(LOOK_AGAIN_SECONDS * fps))
        self.networks, self.is_photo = networks, is_photo
        self._holistic = Holistic(networks)
        self._crop: Box | None = None
        self._misses = {"left_hand": 0, "right_hand": 0}
        self._since_matte = MATTE_EVERY

    def read(
        self,
        rgb: UInt8[np.ndarray, "height width 3"],
        box: Box,
        expected: tuple[Float[np.ndarray, "2"], float] | None,
    ) -> Reading:
        """Run Holistic in the crop `box`, search missed hands, and measure the evidence for a person."""
        crop = cut(rgb, box, CROP_PIXELS, SMALLEST_CROP)
        if is_too_small(crop.rgb):
            return Reading({}, np.full(len(EVIDENCE), np.nan, np.float32))
        if self._crop is not None and not np.array_equal(self._crop, box):
            self._holistic.forget()
        self._crop = box
        found = holistic_points(crop, self._holistic, self.is_photo)
        found = assign_hands_to_arms(found)
        if "pose" in found:
            self._find_missed_hands(rgb, found)
        is_due = "face" not in found or self._since_matte >= MATTE_EVERY
        self._since_matte = 1 if is_due else self._since_matte + 1
        matte = person_matte(rgb, crop.box, self.networks) if is_due and "pose" in found else None
        return Reading(found, evidence_of(matte, found, expected))

    def _find_missed_hands(
        self, rgb: UInt8[np.ndarray, "height width 3"], found: dict[str, Float[np.ndarray, "points 3"]]
    ) -> None:
        """Search for missing hands. After `PATIENCE` misses in a row only some of the frames are searched."""
        for hand, misses in self._misses.items():
            is_worth_it = misses < PATIENCE or misses % self.look_again == 0
            rows = None
            if hand not in found and is_worth_it:
                rows = hand_near_wrist(rgb, found, hand, self.networks, self.is_photo)
            if rows is not None:
                found[hand] = rows
            self._misses[hand] = 0 if hand in found else misses + 1


def holistic_points(crop: Crop, holistic: Holistic, is_photo: bool) -> dict[str, Float[np.ndarray, "points 3"]]:
    """All landmarks that Holistic finds in the crop, in pixels of the source. Parts not found are left out."""
    found = holistic.read(crop.rgb, is_photo)
    return {
        name: rows if name == "pose_world" else crop.to_source(rows, scale_z=name != "pose")
        for name, rows in found.items()
    }
