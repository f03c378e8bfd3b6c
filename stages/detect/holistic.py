"""Landmarks of one person from a video or photo: survey the people, follow one, read pose, face and hands.

Two passes over the file, one frame in memory at a time: a quick one that finds people in some of the frames, and one
that runs MediaPipe Holistic in a crop around the person on every frame. Which results to believe is decided in `gates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from stages.detect.crops import Box, Crop, clip_box, cut, grown, plan
from stages.detect.evidence import evidence_of
from stages.detect.hands import hand_near_wrist, settled
from stages.detect.matte import person_matte
from stages.detect.networks import Networks, is_too_small, world_points
from stages.detect.observations import EVIDENCE, PARTS, POINT_COUNTS, Observations
from stages.detect.people import LONGEST_ABSENCE, Person, link, only, without_others
from stages.detect.sightings import Sighting, face_region, sight, tiles
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.video.source import VideoInfo, probe, read_frames

CROP_MARGIN = 0.15
"""Room around the boxes of the survey, which looks at some frames only."""
SMALLEST_CROP = 320
"""Smaller crops are enlarged to this."""
EXPECTED_SECONDS = 0.6
"""The survey says where the head is up to this far from a sighting."""
MATTE_EVERY = 5
"""Frames with a face are checked against the matte this seldom: a face is proof enough of a person."""
PATIENCE, LOOK_AGAIN = 3, 3
"""After so many frames without a hand at a wrist, look for it in every so many-th frame: a look costs 30 ms."""


@dataclass(frozen=True)
class DetectConfig:
    """How to look."""

    person: int = 0
    """Whom to follow when several are in the picture: 0 is the largest, 1 the next."""
    survey_seconds: float = 0.2
    """How often the survey looks for people."""
    crop_pixels: int = 768
    """Longer side of the crop that Holistic reads."""
    find_missed_hands: bool = True
    """Run the hand network on the wrists where Holistic missed a hand."""


@dataclass(frozen=True)
class Reading:
    """What the networks said about one frame; parts that were not found are absent."""

    points: dict[str, Float[np.ndarray, "points 3"]]
    evidence: Float[np.ndarray, "4"]


def detect(path: Path, config: DetectConfig | None = None, progress: Progress = silent) -> Observations:
    """Observe one person in every frame of a video, or in a photo.

    Raises InputError as `probe` and `read_frames` do, and when `config.person` asks for someone who is not there.
    A clip without anybody gives rows in which nothing is found.
    """
    config = config or DetectConfig()
    info = probe(Path(path))
    with Networks() as networks:
        frame_count, people = survey(info, config, networks, progress)
        person, others = choose(people, config.person, info.path)
        rows = _follow(info, frame_count, person, others, config, networks, progress)
    return rows


def survey(info: VideoInfo, config: DetectConfig, networks: Networks, progress: Progress) -> tuple[int, list[Person]]:
    """Count the frames and find the people in every few of them."""
    step = max(1, round(float(info.fps) * config.survey_seconds))
    surveyed, count, misses, last_seen = [], 0, 0, []
    for frame in read_frames(info.path):
        if frame.index % step == 0 and not is_too_small(frame.rgb):
            parts = [face_region(_head_box(s)) for s in last_seen]
            if misses & (misses - 1) == 0:  # at the 1st, 2nd, 3rd, 5th, 9th ... frame without anybody: tiles cost .3 s
                parts += tiles(info.width, info.height)
            surveyed.append(sight(frame.rgb, frame.index, networks, parts))
            misses = 0 if surveyed[-1] else misses + 1
            last_seen = surveyed[-1] or last_seen
        count = frame.index + 1
        progress("looking for people", count, info.frame_count)
    return count, link(surveyed, max(step, round(LONGEST_ABSENCE * float(info.fps))))


def _head_box(sighting: Sighting) -> Box:
    half = sighting.head_height / 2
    return np.concatenate([sighting.head - half, sighting.head + half])


def choose(people: list[Person], index: int, path: Path) -> tuple[Person | None, list[Person]]:
    """The person of that rank, and the others. Raises InputError when there are fewer."""
    if not people:
        return None, []
    if not 0 <= index < len(people):
        one = "only one person is" if len(people) == 1 else f"{len(people)} people are"
        raise InputError(f"{path}: person {index} was asked for, but {one} in the picture; count starts at 0")
    return people[index], people[:index] + people[index + 1 :]


def _follow(
    info: VideoInfo,
    frame_count: int,
    person: Person | None,
    others: list[Person],
    config: DetectConfig,
    networks: Networks,
    progress: Progress,
) -> Observations:
    """The second pass: read every frame in its crop."""
    rows = _Rows(frame_count)
    segment, crops = crops_for(person, others, frame_count, info)
    reader = Reader(networks, config, info.is_photo)
    farthest = max(1, round(EXPECTED_SECONDS * float(info.fps)))
    for frame in read_frames(info.path):
        rows.times[frame.index] = frame.pts_seconds
        if person is not None:
            expected = person.head_at(frame.index, farthest)
            rows.put(frame.index, reader.read(frame.rgb, crops[segment[frame.index]], expected), info)
        progress("reading landmarks", frame.index + 1, frame_count)
    return rows.observations(info, len(others))


def crops_for(
    person: Person | None, others: list[Person], frame_count: int, info: VideoInfo
) -> tuple[Int[np.ndarray, "frames"], Float[np.ndarray, "segments 4"]]:
    """Each frame's segment, and each segment's crop in px, kept clear of other people."""
    if person is None:
        return np.zeros(frame_count, int), np.array([[0, 0, info.width, info.height]], float)
    segment, boxes = plan(np.array([s.frame for s in person.sightings]), person.boxes(), frame_count)
    crops = []
    for number, box in enumerate(boxes):
        frames = np.flatnonzero(segment == number)
        own: list[Sighting] = only(person, int(frames[0]), int(frames[-1]) + 1).sightings
        crops.append(without_others(clip_box(grown(box, CROP_MARGIN), info.width, info.height), own, others))
    return segment, np.array(crops)


class Reader:
    """Reads one frame after the other of one clip; remembers what makes that faster, never a picture."""

    def __init__(self, networks: Networks, config: DetectConfig, is_photo: bool) -> None:
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
            is_worth_it = misses < PATIENCE or misses % LOOK_AGAIN == 0
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


class _Rows:
    """The growing arrays of one clip."""

    def __init__(self, frame_count: int) -> None:
        self.points = {
            name: np.full((frame_count, count, 3), np.nan, np.float32) for name, count in POINT_COUNTS.items()
        }
        self.evidence = np.full((frame_count, len(EVIDENCE)), np.nan, np.float32)
        self.times = np.zeros(frame_count)
        self.boxes = np.full((frame_count, 4), np.nan, np.float32)

    def put(self, frame: int, reading: Reading, info: VideoInfo) -> None:
        for name, rows in reading.points.items():
            self.points[name][frame] = rows
        self.evidence[frame] = reading.evidence
        seen = [rows[:, :2] for name, rows in reading.points.items() if name not in ("pose", "pose_world")]
        if "pose" in reading.points:
            pose = reading.points["pose"]
            seen.append(pose[pose[:, 2] > 0.5, :2])
        if seen and sum(map(len, seen)):
            every = np.clip(np.concatenate(seen), 0, (info.width, info.height))
            self.boxes[frame] = np.concatenate([every.min(0), every.max(0)])

    def observations(self, info: VideoInfo, other_people: int) -> Observations:
        parts = ("pose", *PARTS[1:])
        found = np.stack([np.isfinite(self.points[part][:, 0, 0]) for part in parts], axis=1)
        return Observations(
            image_size=(info.width, info.height),
            fps=float(info.fps),
            is_photo=info.is_photo,
            duration_seconds=info.duration_seconds,
            other_people=other_people,
            frame_index=np.arange(len(self.times)),
            pts_seconds=self.times,
            found=found,
            score=found.astype(np.float32),
            person_box=self.boxes,
            evidence=self.evidence,
            **self.points,
        )
