"""Landmarks of one person from a video or photo: survey the people, follow one, read pose, face and hands.

Two passes over the file, one frame a lane in memory at a time: a quick one that finds people in some of the frames, and
one that runs MediaPipe Holistic in a crop around the person on every frame. Which results to believe: `gates`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from stages.detect.config import DetectConfig
from stages.detect.crops import Box, clip_box, grown, plan
from stages.detect.lanes import Lane, cut_into_lanes, run_lanes
from stages.detect.networks import Networks, is_too_small
from stages.detect.observation_arrays import Rows
from stages.detect.observations import Observations
from stages.detect.person_detections import Sighting, face_region, sight, tiles
from stages.detect.reader import Reader
from stages.detect.tracklets import LONGEST_ABSENCE, Person, link, only, without_others
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.video.source import Frame, VideoInfo, probe, read_frames

CROP_MARGIN = 0.15
"""Room around the boxes of the survey, which looks at some frames only."""
EXPECTED_SECONDS = 0.6
"""The survey says where the head is up to this far from a sighting."""
WARM_UP = 8
"""Frames that a lane reads before its first, where the lane before it fades out: the pose network, which looks where it
found the person last, settles 2 px elsewhere when it starts elsewhere (d1, d2), and hips take 8 frames. Frames at any
rate, for the network counts pictures."""


def detect(path: Path, config: DetectConfig | None = None, progress: Progress = silent) -> Observations:
    """Observe one person in every frame of a video, or in a photo.

    Raises InputError as `probe` and `read_frames` do, and when `config.person` asks for someone who is not there.
    A clip without anybody gives rows in which nothing is found.
    """
    config = config or DetectConfig()
    info = probe(Path(path))
    lanes = cut_into_lanes(info.frame_count, config.lanes, WARM_UP)
    with ExitStack() as stack:
        networks = [stack.enter_context(Networks()) for _ in lanes]
        frame_count, people = survey(info, config, lanes, networks, progress)
        person, others = choose(people, config.person, info.path)
        rows = _follow(info, frame_count, person, others, config, lanes, networks, progress)
    return rows


def survey(
    info: VideoInfo, config: DetectConfig, lanes: list[Lane], networks: list[Networks], progress: Progress
) -> tuple[int, list[Person]]:
    """Count the frames and find the people in every few of them."""
    step = max(1, round(float(info.fps) * config.survey_seconds))

    def look(lane: Lane, frame_done: Callable[[], None]) -> tuple[int, list[list[Sighting]]]:
        surveyed, count, misses, last_seen = [], 0, 0, []
        for frame in frames_of(info, lane):
            count = frame.index + 1
            if frame.index % step == 0 and not is_too_small(frame.rgb):
                parts = [face_region(_head_box(s)) for s in last_seen]
                if misses & (misses - 1) == 0:  # at the 1st, 2nd, 3rd, 5th, 9th ... frame without anybody: .3 s each
                    parts += tiles(info.width, info.height)
                surveyed.append(sight(frame.rgb, frame.index, networks[lane.number], parts))
                misses = 0 if surveyed[-1] else misses + 1
                last_seen = surveyed[-1] or last_seen
            frame_done()
        return count, surveyed

    found = run_lanes(lanes, look, progress, "looking for people", info.frame_count)
    sightings = [sighted for _, surveyed in found for sighted in surveyed]
    return max(count for count, _ in found), link(sightings, max(step, round(LONGEST_ABSENCE * float(info.fps))))


def frames_of(info: VideoInfo, lane: Lane, before: int = 0) -> Iterator[Frame]:
    """The lane's frames, and up to so many `before` its first."""
    for frame in read_frames(info.path):
        if lane.is_past(frame.index):
            return
        if frame.index >= lane.start - before:
            yield frame


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
    lanes: list[Lane],
    networks: list[Networks],
    progress: Progress,
) -> Observations:
    """The second pass: read every frame in its crop."""
    rows = Rows(frame_count)
    segment, crops = crops_for(person, others, frame_count, info)
    farthest = max(1, round(EXPECTED_SECONDS * float(info.fps)))

    def read(lane: Lane, frame_done: Callable[[], None]) -> None:
        reader = Reader(networks[lane.number], config, info.is_photo, float(info.fps))
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
        rows.fade(warming_up, range(lane.start - WARM_UP, lane.start))
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
