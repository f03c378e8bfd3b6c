"""Landmarks of people from a video or photo: find the people of every shot, follow some, read pose, face and hands.

Three passes over the file, with one frame per lane in memory. The first pass finds the cuts. The second pass, the
survey, finds people in some of the frames. The third pass runs MediaPipe Holistic on every frame, in a crop around each
person that is followed, and follows the background for `stages.camera`. `gates` rejects doubtful results later. Nothing
is linked or followed across a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.camera.background import joined
from stages.camera.follow import Follower
from stages.camera.people import Covered, person_capsules
from stages.cores import meanwhile
from stages.detect.config import DetectConfig
from stages.detect.crops import Box, clip_box, grown, overlap, plan_crops
from stages.detect.evidence import Company
from stages.detect.lanes import Lane, cut_into_lanes, run_lanes
from stages.detect.observation_arrays import ObservationArrays
from stages.detect.observations import Observations
from stages.detect.people import Followed, follow, people_of_shots, recognise
from stages.detect.person_detections import PersonDetection, detect_people, face_region, tiles
from stages.detect.reader import Reader, Reading
from stages.detect.tracklets import LONGEST_ABSENCE, Person, crop_without_others, within_frames
from stages.errors import InputError
from stages.networks.opened import Networks, is_too_small
from stages.progress import Progress, silent
from stages.video.segment import Moment, read_from
from stages.video.shots import shot_starts
from stages.video.source import Frame, VideoInfo, probe, read_frames

SURVEY_SECONDS = 0.2
"""Time between two frames of the survey."""
CROP_MARGIN = 0.15
"""Margin around the boxes of the survey, which sees only some of the frames."""
ON_BODY, AT_HEAD, ALONE_AT_HEAD = 0.5, 0.8, 2.0
"""A face farther from the pose's nose, or a pose farther from the survey's head (beside other people, or alone), in
head heights, is a reason to try other crops of a photo. The gates reject beyond the same distances."""
SAME_PLACE = 0.1
"""Least overlap (IoU) of somebody else's box with the place where the followed person would be."""
EXPECTED_SECONDS = 0.6
"""The head's position is interpolated between detections of the survey up to this time from the nearest one."""
WARM_UP = 8
"""Frames that a lane reads before its first frame; the results of the two lanes are cross-faded there. The pose network
searches where it last found the person. After another start its points differ by 2 px (d1, d2), hips for 8 frames. The
number is in frames at every frame rate, because the network counts pictures."""


def detect(path: Path, config: DetectConfig | None = None, progress: Progress = silent) -> Observations:
    """Observe one person in every frame of a video, or in a photo: the person `config.person`.

    Raises InputError as `observe` does.
    """
    return observe(path, replace(config or DetectConfig(), everyone=False), progress)[0]


def observe(path: Path, config: DetectConfig, progress: Progress = silent) -> list[Observations]:
    """Observe one person, or with `config.everyone` all people, largest first, in every frame of a video or in a photo.

    Raises InputError as `probe` and `read_frames` do, and when there is no person of the number `config.person`.
    A clip without any person gives one person of whom nothing is found.
    """
    info = probe(Path(path))
    lanes = cut_into_lanes(info.frame_count, WARM_UP)
    entries = {max(0, lane.start - WARM_UP) for lane in lanes}
    networks = Networks()
    with meanwhile(networks.open):
        starts, moments = shot_starts(info, config.cut_score, progress, entries)
    clip = Clip(info, lanes, moments)
    frame_count, surveyed = survey(clip, starts, networks, progress)
    gap = max(survey_step(info), round(LONGEST_ABSENCE * float(info.fps)))
    shots = people_of_shots(surveyed, starts, frame_count, gap)
    known = recognise(shots)
    if not config.everyone:
        _require_person(config.person, len(known), info.path)
    numbers = range(max(1, len(known))) if config.everyone else [config.person]
    plans = [follow(shots, known, number, alone=config.everyone) for number in numbers]
    return _follow(clip, frame_count, plans, len(known), networks, progress)


@dataclass(frozen=True)
class Clip:
    """A video or photo, cut into lanes. `moments` identify the frames at which a lane begins to read."""

    info: VideoInfo
    lanes: list[Lane]
    moments: dict[int, Moment]

    def frames(self, lane: Lane) -> Iterator[Frame]:
        """The frames of the lane, and up to WARM_UP frames before its first."""
        entry = max(0, lane.start - WARM_UP)
        if entry and entry in self.moments:
            frames = read_from(self.info.path, self.moments[entry], self.moments[0])
        else:
            frames = islice(read_frames(self.info.path), entry, None)
        return takewhile(lambda frame: not lane.is_past(frame.index), frames)


def survey_step(info: VideoInfo) -> int:
    """Frames from one surveyed frame to the next."""
    return max(1, round(float(info.fps) * SURVEY_SECONDS))


def survey(
    clip: Clip, starts: tuple[int, ...], networks: Networks, progress: Progress
) -> tuple[int, list[list[PersonDetection]]]:
    """Count the frames, and find the people in the first frame of each shot and one per `SURVEY_SECONDS` after it."""
    info, step = clip.info, survey_step(clip.info)

    def look(lane: Lane, frame_done: Callable[[], None]) -> tuple[int, list[list[PersonDetection]]]:
        surveyed, count, misses, last_seen = [], 0, 0, []
        for frame in clip.frames(lane):
            if not lane.holds(frame.index):
                continue
            count = frame.index + 1
            start = max(each for each in starts if each <= frame.index)
            if frame.index == start:
                misses, last_seen = 0, []
            if (frame.index - start) % step == 0 and not is_too_small(frame.rgb):
                parts = [face_region(_head_box(s)) for s in last_seen]
                if misses & (misses - 1) == 0:  # in the 1st, 2nd, 3rd, 5th, 9th ... frame without a person: 0.3 s each
                    parts += tiles(info.width, info.height)
                surveyed.append(detect_people(frame.rgb, frame.index, networks, parts))
                misses = 0 if surveyed[-1] else misses + 1
                last_seen = surveyed[-1] or last_seen
            frame_done()
        return count, surveyed

    found = run_lanes(clip.lanes, look, progress, "looking for people", info.frame_count)
    return max(count for count, _ in found), [detections for _, surveyed in found for detections in surveyed]


def _head_box(detection: PersonDetection) -> Box:
    half = detection.head_height / 2
    return np.concatenate([detection.head - half, detection.head + half])


def _require_person(index: int, count: int, path: Path) -> None:
    """Raises InputError when there are people, but no person of that number."""
    if count and not 0 <= index < count:
        one = "only one person is" if count == 1 else f"{count} people are"
        raise InputError(f"{path}: there is no person {index}: {one} in the picture; the largest person is 0")


@dataclass(frozen=True)
class Guide:
    """What the third pass needs for one person of the clip, in one shot."""

    followed: Followed
    crops: Float[np.ndarray, "segments 4"]
    segment: Int[np.ndarray, "frames"]
    """Number of each frame's crop, from the first frame of the shot."""
    hidden: Bool[np.ndarray, "frames"]
    """Frames of the shot in which the person is behind or beside somebody else and was not seen."""
    company: Company | None

    @classmethod
    def of(cls, followed: Followed, info: VideoInfo) -> Guide:
        """The guide of a shot."""
        shot, person, others = followed.shot, followed.person, followed.others
        segment, crops = crops_for(person, others, shot.first, shot.last, info)
        hidden = hidden_frames(person, others, shot.first, shot.last, survey_step(info))
        company = None
        if person is not None and others:
            company = Company(person.look, tuple(other.look for other in others))
        return cls(followed, crops, segment, hidden, company)

    def read(self, reader: Reader, frame: Frame, farthest: int) -> Reading | None:
        """The reading of a frame of this shot; None where nobody is followed or the person is hidden."""
        person, row = self.followed.person, frame.index - self.followed.shot.first
        is_out = person is None or bool(self.hidden[row])
        if row == 0 or is_out:
            reader.forget()
        if person is None or is_out:
            return None
        crop, expected = self.crops[self.segment[row]], person.head_at(frame.index, farthest)
        reading = reader.read(frame.rgb, crop, expected, self.company)
        if not reader.is_photo or expected is None:
            return reading
        for other in other_crops(crop, *expected):
            if self._worth(reading) == 2:
                break
            again = reader.read(frame.rgb, other, expected, self.company)
            reading = again if self._worth(again) > self._worth(reading) else reading
        return reading

    def _worth(self, reading: Reading) -> int:
        """1 for a pose where the head is expected, 2 if a face is on it, else 0."""
        if "pose" not in reading.points or reading.evidence[2] > (ALONE_AT_HEAD if self.company is None else AT_HEAD):
            return 0
        return 2 if "face" in reading.points and reading.evidence[1] <= ON_BODY else 1


def _follow(
    clip: Clip,
    frame_count: int,
    plans: list[list[Followed]],
    people: int,
    networks: Networks,
    progress: Progress,
) -> list[Observations]:
    """The third pass: read the landmarks of every frame in each person's crop."""
    info = clip.info
    guides = [[Guide.of(each, info) for each in plan] for plan in plans]
    arrays = [ObservationArrays(frame_count) for _ in plans]
    starts = np.array([each.shot.first for each in plans[0]])
    farthest = max(1, round(EXPECTED_SECONDS * float(info.fps)))

    def read(lane: Lane, frame_done: Callable[[], None]) -> None:
        readers = [Reader(networks, info.is_photo, float(info.fps)) for _ in plans]
        follower = followers[lane.number]
        for frame in clip.frames(lane):
            shot = int(np.searchsorted(starts, frame.index, side="right")) - 1
            readings: list[Reading | None] = []
            for number, (guide, reader, rows) in enumerate(zip(guides, readers, arrays, strict=True)):
                reading = guide[shot].read(reader, frame, farthest)
                readings.append(reading)
                if lane.holds(frame.index):
                    rows.put(frame, reading)
                elif reading is not None:
                    warming_up[number][frame.index] = reading.points
            if not info.is_photo:
                if frame.index == starts[shot]:
                    follower.forget()
                follower.add(frame.index, frame.rgb, people_at(frame.index, [plan[shot] for plan in plans], readings))
            if lane.holds(frame.index):
                frame_done()

    followers = [Follower(info.width, info.height) for _ in clip.lanes]
    warming_up: list[dict[int, dict[str, Float[np.ndarray, "points 3"]]]] = [{} for _ in plans]
    run_lanes(clip.lanes, read, progress, "reading landmarks", frame_count)
    for lane in clip.lanes[1:]:
        for rows, warm in zip(arrays, warming_up, strict=True):
            rows.cross_fade(warm, range(lane.start - WARM_UP, lane.start))
    background = None if info.is_photo else joined(followers)
    return [rows.observations(info, plan, people, background) for rows, plan in zip(arrays, plans, strict=True)]


def people_at(frame: int, followed: list[Followed], readings: list[Reading | None]) -> Covered:
    """Where people are in a frame: who was read by the pose, everybody else by the boxes of the survey."""
    read = [reading.points for reading in readings if reading is not None and "pose" in reading.points]
    own = [each.person for each, reading in zip(followed, readings, strict=True)
           if reading is not None and "pose" in reading.points]  # fmt: skip
    others = [person for person in followed[0].shot.people if not any(person is each for each in own)]
    boxes = []
    for person in others:
        frames = np.array([each.frame for each in person.detections])
        boxes.append(np.array([np.interp(frame, frames, column) for column in person.boxes().T]))
    return Covered(
        tuple(boxes), tuple(capsule for each in read for capsule in person_capsules(each["pose"], each.get("face")))
    )


def other_crops(crop: Box, head: Float[np.ndarray, "2"], height: float) -> list[Box]:
    """Crops of a photo to try after `crop`: half a body, most of a body, and more of the picture."""
    half = np.concatenate([head - np.array([1.6, 1.2]) * height, head + np.array([1.6, 2.2]) * height])
    most = np.concatenate([head - np.array([2.4, 1.6]) * height, head + np.array([2.4, 6.0]) * height])
    return [half, most, grown(crop, 0.3)]


def crops_for(
    person: Person | None, others: list[Person], first: int, last: int, info: VideoInfo
) -> tuple[Int[np.ndarray, "frames"], Float[np.ndarray, "segments 4"]]:
    """The segment of each frame of a shot, and the crop of each segment in px, without the heads of other people."""
    if person is None:
        return np.zeros(last - first, int), np.array([[0, 0, info.width, info.height]], float)
    segment, boxes = plan_crops(np.array([s.frame - first for s in person.detections]), person.boxes(), last - first)
    crops = []
    for number, box in enumerate(boxes):
        frames = first + np.flatnonzero(segment == number)
        own: list[PersonDetection] = within_frames(person, int(frames[0]), int(frames[-1]) + 1).detections
        crops.append(crop_without_others(clip_box(grown(box, CROP_MARGIN), info.width, info.height), own, others))
    return segment, np.array(crops)


def hidden_frames(
    person: Person | None, others: list[Person], first: int, last: int, step: int
) -> Bool[np.ndarray, "frames"]:
    """Frames of a shot in which the person was not seen by the survey while somebody else was at the person's place.

    The pose network would read the other one there.
    """
    hidden = np.zeros(last - first, bool)
    if person is None:
        return hidden
    seen = np.array([s.frame for s in person.detections])
    boxes = person.boxes()
    for other in others:
        for theirs in other.detections:
            nearest = np.abs(seen - theirs.frame)
            if nearest.min() < step:
                continue
            box = np.array([np.interp(theirs.frame, seen, column) for column in boxes.T])
            if overlap(box, theirs.box) > SAME_PLACE:
                before, after = seen[seen < theirs.frame], seen[seen > theirs.frame]
                start = first if not len(before) else int(before[-1]) + step // 2 + 1
                end = last if not len(after) else int(after[0]) - step // 2
                hidden[start - first : end - first] = True
    return hidden
