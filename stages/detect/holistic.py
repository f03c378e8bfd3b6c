"""Landmarks of one person from a video or photo: find the people, follow one, read pose, face and hands.

Two passes over the file, with one frame per lane in memory. The first pass, the survey, finds people in some of the
frames. The second pass runs MediaPipe Holistic on every frame, in a crop around the person. `gates` rejects doubtful
results later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from stages.detect.config import DetectConfig
from stages.detect.crops import Box, clip_box, grown, plan_crops
from stages.detect.lanes import Lane, cut_into_lanes, run_lanes
from stages.detect.observation_arrays import ObservationArrays
from stages.detect.observations import Observations
from stages.detect.person_detections import PersonDetection, detect_people, face_region, tiles
from stages.detect.reader import Reader
from stages.detect.tracklets import LONGEST_ABSENCE, Person, crop_without_others, link_detections, within_frames
from stages.errors import InputError
from stages.networks.opened import Networks, is_too_small
from stages.progress import Progress, silent
from stages.video.source import Frame, VideoInfo, probe, read_frames

SURVEY_SECONDS = 0.2
"""Time between two frames of the survey."""
CROP_MARGIN = 0.15
"""Margin around the boxes of the survey, which sees only some of the frames."""
EXPECTED_SECONDS = 0.6
"""The head's position is interpolated between detections of the survey up to this time from the nearest one."""
WARM_UP = 8
"""Frames that a lane reads before its first frame; the results of the two lanes are cross-faded there. The pose network
searches where it last found the person. After another start its points differ by 2 px (d1, d2), hips for 8 frames. The
number is in frames at every frame rate, because the network counts pictures."""


def detect(path: Path, config: DetectConfig | None = None, progress: Progress = silent) -> Observations:
    """Observe one person in every frame of a video, or in a photo.

    Raises InputError as `probe` and `read_frames` do, and when there is no person of the number `config.person`.
    A clip without any person gives rows in which nothing is found.
    """
    config = config or DetectConfig()
    info = probe(Path(path))
    lanes = cut_into_lanes(info.frame_count, config.lanes, WARM_UP)
    networks = Networks()
    frame_count, people = survey(info, lanes, networks, progress)
    person, others = choose_person(people, config.person, info.path)
    return _follow(info, frame_count, person, others, lanes, networks, progress)


def survey(info: VideoInfo, lanes: list[Lane], networks: Networks, progress: Progress) -> tuple[int, list[Person]]:
    """Count the frames, and find the people in one frame per `SURVEY_SECONDS`."""
    step = max(1, round(float(info.fps) * SURVEY_SECONDS))

    def look(lane: Lane, frame_done: Callable[[], None]) -> tuple[int, list[list[PersonDetection]]]:
        surveyed, count, misses, last_seen = [], 0, 0, []
        for frame in frames_of(info, lane):
            count = frame.index + 1
            if frame.index % step == 0 and not is_too_small(frame.rgb):
                parts = [face_region(_head_box(s)) for s in last_seen]
                if misses & (misses - 1) == 0:  # in the 1st, 2nd, 3rd, 5th, 9th ... frame without a person: 0.3 s each
                    parts += tiles(info.width, info.height)
                surveyed.append(detect_people(frame.rgb, frame.index, networks, parts))
                misses = 0 if surveyed[-1] else misses + 1
                last_seen = surveyed[-1] or last_seen
            frame_done()
        return count, surveyed

    found = run_lanes(lanes, look, progress, "looking for people", info.frame_count)
    detections = [detection for _, surveyed in found for detection in surveyed]
    return max(count for count, _ in found), link_detections(
        detections, max(step, round(LONGEST_ABSENCE * float(info.fps)))
    )


def frames_of(info: VideoInfo, lane: Lane, before: int = 0) -> Iterator[Frame]:
    """The frames of the lane, and up to `before` frames before its first."""
    for frame in read_frames(info.path):
        if lane.is_past(frame.index):
            return
        if frame.index >= lane.start - before:
            yield frame


def _head_box(detection: PersonDetection) -> Box:
    half = detection.head_height / 2
    return np.concatenate([detection.head - half, detection.head + half])


def choose_person(people: list[Person], index: int, path: Path) -> tuple[Person | None, list[Person]]:
    """The person number `index`, and the others. Raises InputError when there are fewer people."""
    if not people:
        return None, []
    if not 0 <= index < len(people):
        one = "only one person is" if len(people) == 1 else f"{len(people)} people are"
        raise InputError(f"{path}: there is no person {index}: {one} in the picture; the largest person is 0")
    return people[index], people[:index] + people[index + 1 :]


def _follow(
    info: VideoInfo,
    frame_count: int,
    person: Person | None,
    others: list[Person],
    lanes: list[Lane],
    networks: Networks,
    progress: Progress,
) -> Observations:
    """The second pass: read the landmarks of every frame in its crop."""
    rows = ObservationArrays(frame_count)
    segment, crops = crops_for(person, others, frame_count, info)
    farthest = max(1, round(EXPECTED_SECONDS * float(info.fps)))

    def read(lane: Lane, frame_done: Callable[[], None]) -> None:
        reader = Reader(networks, info.is_photo, float(info.fps))
        for frame in frames_of(info, lane, WARM_UP):
            reading = None
            if person is not None:
                expected = person.head_at(frame.index, farthest)
                reading = reader.read(frame.rgb, crops[segment[frame.index]], expected)
            if lane.holds(frame.index):
                rows.put(frame, reading)
                frame_done()
            elif reading is not None:
                warming_up[frame.index] = reading.points

    warming_up: dict[int, dict[str, Float[np.ndarray, "points 3"]]] = {}
    run_lanes(lanes, read, progress, "reading landmarks", frame_count)
    for lane in lanes[1:]:
        rows.cross_fade(warming_up, range(lane.start - WARM_UP, lane.start))
    return rows.observations(info, len(others))


def crops_for(
    person: Person | None, others: list[Person], frame_count: int, info: VideoInfo
) -> tuple[Int[np.ndarray, "frames"], Float[np.ndarray, "segments 4"]]:
    """The segment of each frame, and the crop of each segment in px, without the heads of other people."""
    if person is None:
        return np.zeros(frame_count, int), np.array([[0, 0, info.width, info.height]], float)
    segment, boxes = plan_crops(np.array([s.frame for s in person.detections]), person.boxes(), frame_count)
    crops = []
    for number, box in enumerate(boxes):
        frames = np.flatnonzero(segment == number)
        own: list[PersonDetection] = within_frames(person, int(frames[0]), int(frames[-1]) + 1).detections
        crops.append(crop_without_others(clip_box(grown(box, CROP_MARGIN), info.width, info.height), own, others))
    return segment, np.array(crops)
