"""Observations: the detector's results for one clip as plain arrays, one row per source frame (a photo has one).

Frames and units: pixels of the upright source picture, x right, y down, origin at the picture's top left
corner; `z` of face and hands is in pixels too (smaller is nearer), relative to the depth of the head or the wrist.
`pose_world` is in metres, MediaPipe's axes (x right, y down, z away from the camera), origin between the hips.
Left and right are the person's, as in SMPL-X. Points that were not found are NaN. Knows nothing of bodies or cameras.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.camera.background import Background

PARTS = ("body", "face", "left_hand", "right_hand")
"""The columns of `found` and `score`."""
EVIDENCE = ("matte_on_body", "face_on_body", "head_where_expected", "looks_like_another")
"""Columns of `evidence`: independent measurements of whether the body is a person, and the person who is followed.

matte_on_body: mean of the selfie matte along the visible limbs, 0..1; NaN where a face made the matte unnecessary.
face_on_body: distance of the face mesh's nose from the pose's nose, in face heights; NaN without a face.
head_where_expected: distance of the pose's head from the head in the survey, in head heights; NaN where unknown.
looks_like_another: how much nearer the look is to another person's in the shot than to the usual look of the person who
is followed (see `look`); NaN where nobody else is.
"""
POINT_COUNTS = {"pose": 33, "pose_world": 33, "face": 478, "left_hand": 21, "right_hand": 21}


@dataclass(frozen=True)
class Observations:
    """Landmarks of one person over T frames.

    `score` is 0..1 per part: how well independent networks agree on it (see `gates`); 0 where not found.
    `person_box` is x0, y0, x1, y1 of all points found, clipped to the picture. `other_people` is the number of people
    who are not followed. `shot` is the number of the frame's shot, rising from 0. `identity` is the number of the
    person who is followed in the frame's shot, among the people of the clip; -1 for nobody.
    """

    image_size: tuple[int, int]
    """Width, height."""
    fps: float
    is_photo: bool
    duration_seconds: float
    other_people: int
    frame_index: Int[np.ndarray, "frames"]
    pts_seconds: Float[np.ndarray, "frames"]
    pose: Float[np.ndarray, "frames 33 3"]
    """x px, y px, visibility 0..1."""
    pose_world: Float[np.ndarray, "frames 33 3"]
    face: Float[np.ndarray, "frames 478 3"]
    left_hand: Float[np.ndarray, "frames 21 3"]
    right_hand: Float[np.ndarray, "frames 21 3"]
    found: Bool[np.ndarray, "frames 4"]
    score: Float[np.ndarray, "frames 4"]
    person_box: Float[np.ndarray, "frames 4"]
    evidence: Float[np.ndarray, "frames 4"]
    shot: Int[np.ndarray, "frames"]
    identity: Int[np.ndarray, "frames"]
    background: Background | None = None
    """What was followed behind the people in the whole clip; None for a photo."""

    def __len__(self) -> int:
        return len(self.frame_index)

    @property
    def shots(self) -> list[slice]:
        """The rows of each shot, in order."""
        borders = [0, *(np.flatnonzero(np.diff(self.shot)) + 1).tolist(), len(self)]
        return [slice(first, last) for first, last in itertools.pairwise(borders)]

    def select(self, rows: Any) -> Observations:
        """The rows `rows` (slice, mask or indices) of the clip, with the times and frame numbers of the source."""
        rows = np.arange(len(self))[rows]
        per_frame = {
            field.name: value[rows]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        return replace(self, **per_frame)
