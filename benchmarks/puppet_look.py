"""What the look at a photo measures, beside how well the puppet is drawn: the limits of its sentences.

    python -m benchmarks.puppet_look [--people 3] [--frames 2] [--write]

Made-up people of `stages.people` are photographed from the front with hanging arms, and in ever harder ways: turned,
with the head tilted, with a hand before the face, with arms before the trunk, and whole people turned up to their back.
All photos of a person are driven by the same frames, with a trunk that faces the camera and arms in random poses, with
the exact body, and compared with the true pictures in the part that the sentence is about. Photos are sorted by what
the look measures. The light stays where it is: a head that was tilted in the photo has another shade.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.puppet_truth import figures, regions, turned
from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import Motion, select_rows
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.body.store import open_body
from stages.drawing import photo_faults as look
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.generate import detect_face, draw_frames, make_puppet
from stages.people.clips import Person, make_person
from stages.people.clips import draw_frames as draw_people
from stages.people.config import PeopleConfig
from stages.video.png import write_png

HALF = PeopleConfig(framing=("half",), background=("plain", "gradient", "room"), tracked_share=0.0, frames=50,
                    width=384, height=384)  # fmt: skip
WHOLE = replace(HALF, framing=("full",))
DOWN = {"left_shoulder": (0.0, 0.0, -1.1), "left_elbow": (0.0, 0.0, 0.0),
        "right_shoulder": (0.0, 0.0, 1.1), "right_elbow": (0.0, 0.0, 0.0)}  # fmt: skip
CROSSED = {"left_shoulder": (0.3, -1.2, 0.5), "left_elbow": (0.0, -1.5, 0.0),
           "right_shoulder": (0.3, 1.2, -0.5), "right_elbow": (0.0, 1.5, 0.0)}  # fmt: skip
AT_FACE = {"left_shoulder": (0.3, -1.0, 1.5), "left_elbow": (0.0, -0.7, 0.0)}
TO_CROSSED, TO_FACE = (0.4, 0.6, 0.75, 0.9, 1.0), (0.8, 0.85, 0.9, 0.95, 1.0)
COLUMNS = (
    Column("sentence", "what is said"), Column("part", "part"), Column("low", "measured, from", "", 2),
    Column("high", "to", "", 2), Column("photos", "photos", "", 0), Column("psnr", "PSNR of the part", "dB"),
    Column("lowest", "lowest", "dB"),
)  # fmt: skip


@dataclass(frozen=True)
class Photo:
    """One hard way to photograph a person."""

    kind: str
    yaw: float = 0.0
    pitch: float = 0.0
    """Of the head alone, positive: down."""
    arms: str = "down"
    share: float = 0.0
    """How far the arms are on their way from DOWN to that pose."""


@dataclass(frozen=True)
class Sentence:
    """One sentence: what it measures, and which part it is about. kind: of the photos; all without one."""

    name: str
    kind: str
    measure: str
    part: str
    edges: tuple[float, ...]


PHOTOS = (
    Photo("easy"),
    *(Photo("turned", yaw=yaw) for yaw in (8, 14, 20, 26, 32, 45)),
    *(Photo("tilted", pitch=pitch) for pitch in (-35, -25, -15, 15, 25, 35)),
    *(Photo("at the face", arms="face", share=share) for share in TO_FACE),
    *(Photo("crossed", arms="crossed", share=share) for share in TO_CROSSED),
)
WHOLE_PHOTOS = (Photo("easy"), *(Photo("turned", yaw=yaw) for yaw in (20, 40, 60, 90, 120)))
COVER_EDGES = (0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
SENTENCES = (
    Sentence("face turned", "turned", "yaw", "face", (0, 5, 10, 15, 20, 25, 30, 40, 60)),
    Sentence("face tilted up", "tilted", "up", "face", (0, 10, 20, 25, 30, 35, 40, 60)),
    Sentence("face tilted down", "tilted", "down", "face", (0, 10, 20, 25, 30, 35, 40, 60)),
    Sentence("hand before the face", "at the face", "face_covered", "face", COVER_EDGES),
    Sentence("arms cross the trunk", "crossed", "trunk_covered", "trunk", COVER_EDGES),
    *(Sentence(f"{part} not in the photo", "", part, part, COVER_EDGES) for part in look.GUESSED),
)


def main() -> None:
    """Print and record a row per sentence and range of what it measures."""
    parser = arguments(__doc__)
    parser.add_argument("--people", type=int, default=3, help="made-up people")
    parser.add_argument("--frames", type=int, default=2, help="frames compared per photo")
    options = parser.parse_args()
    body = open_body()
    what = "What the look at a photo measures, beside how well the puppet is drawn from it."
    with Recorder(what, *COLUMNS, keep=options) as record:
        found = [
            (photo, measures, psnr)
            for config, photos in ((HALF, PHOTOS), (WHOLE, WHOLE_PHOTOS))
            for number in range(options.people)
            for photo, measures, psnr in looked_at(body, make_person(body, number, config), photos, options.frames)
        ]
        for sentence in SENTENCES:
            for row in _rows(sentence, found):
                record.row(**row)
        record.note("PSNR against true pictures, mean over photos and frames; the body is exact.")


def _rows(
    sentence: Sentence, found: list[tuple[Photo, dict[str, float], dict[str, float]]]
) -> Iterator[dict[str, object]]:
    """A row per range between two edges in which there are photos."""
    mine = [
        (abs(measures[sentence.measure]), psnr[sentence.part])
        for photo, measures, psnr in found
        if (photo.kind in ("easy", sentence.kind) or not sentence.kind)
        and sentence.measure in measures
        and np.isfinite(psnr[sentence.part])
    ]
    for low, high in zip(sentence.edges[:-1], sentence.edges[1:], strict=True):
        inside = [psnr for measured, psnr in mine if low <= measured < high]
        if inside:
            yield {
                "sentence": sentence.name, "part": sentence.part, "low": low, "high": high, "photos": len(inside),
                "psnr": float(np.mean(inside)), "lowest": float(np.min(inside)),
            }  # fmt: skip


def looked_at(
    body: Body, person: Person, photos: tuple[Photo, ...], frames: int
) -> Iterator[tuple[Photo, dict[str, float], dict[str, float]]]:
    """Each photo of a person, what the look measures of it, and the PSNR by part."""
    rows = np.linspace(0, len(person.motion) - 1, frames + 1).round().astype(int)
    motion = facing(body, select_rows(person.motion, rows))
    front, target = select_rows(motion, slice(0, 1)), select_rows(motion, slice(1, None))
    truth = list(draw_people(body, replace(person, motion=target)))
    masks = [regions(target, row, body) for row in range(len(target))]
    for photo in photos:
        reference = photographed(front, photo)
        drawn = _drawn(body, person, reference, target)
        scores = [figures(frame, true, mask) for frame, true, mask in zip(drawn, truth, masks, strict=True)]
        psnr = {part: _mean(np.array([score[part] for score in scores])) for part in masks[0]}
        yield photo, measured(body, reference, target), psnr


def facing(body: Body, motion: Motion) -> Motion:
    """The motion with a trunk that faces the camera in every row, and a third of the turns of neck and head."""
    poses = motion.poses.copy()
    for row in range(len(motion)):
        spine = pose_motion(body, motion, slice(row, row + 1)).transforms[0, JOINT_NAMES.index("spine3"), :, :3]
        poses[row] = turned(select_rows(motion, slice(row, row + 1)), -look.head_angles(spine)[0]).poses[0]
    for name in ("neck", "head"):
        poses[:, 3 * JOINT_NAMES.index(name) : 3 * JOINT_NAMES.index(name) + 3] /= 3
    return replace(motion, poses=poses)


def photographed(front: Motion, photo: Photo) -> Motion:
    """The person of `front` (one row, from the front) as in the photo."""
    pose = CROSSED if photo.arms == "crossed" else DOWN | AT_FACE if photo.arms == "face" else DOWN
    joints = {
        name: tuple((1 - photo.share) * np.array(DOWN[name]) + photo.share * np.array(pose[name])) for name in DOWN
    }
    motion = turned(with_joints(front, joints), photo.yaw)
    at = 3 * JOINT_NAMES.index("head")
    turn = matrix_from_rotvec(np.radians([[photo.pitch, 0.0, 0.0]]))
    head = turn @ matrix_from_rotvec(motion.poses[:, at : at + 3].astype(np.float64))
    return with_joints(motion, {"head": tuple(rotvec_from_matrix(head)[0])})


def with_joints(motion: Motion, joints: dict[str, tuple[float, ...]]) -> Motion:
    """The motion with these joints turned so (rotation vectors) in all rows."""
    poses = motion.poses.copy()
    for name, rotation in joints.items():
        at = 3 * JOINT_NAMES.index(name)
        poses[:, at : at + 3] = rotation
    return replace(motion, poses=poses)


def measured(body: Body, reference: Motion, target: Motion) -> dict[str, float]:
    """What the look at the photo measures: angles in degrees, and shares of parts that are large enough to tell of."""
    posed = pose_motion(body, reference, slice(0, 1))
    yaw, pitch = look.head_angles(posed.transforms[0, JOINT_NAMES.index("head"), :, :3])
    face, trunk = look.covered_shares(posed.vertices[0], reference, body)
    shares = look.unseen_shares(reference, target, body).items()
    unseen = {name: share for name, (share, shown) in shares if shown >= look.LEAST_SHOWN}
    tilt = {"down" if pitch > 0 else "up": pitch}
    return {"yaw": yaw, **tilt, "face_covered": face, "trunk_covered": trunk, **unseen}


def _drawn(body: Body, person: Person, reference: Motion, target: Motion) -> list[np.ndarray]:
    """The frames that the puppet draws of the person in this pose."""
    rgb = next(draw_people(body, replace(person, motion=reference)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.png"
        write_png(path, rgb)
        landmarks = detect_face(path)
    puppet, exact, _ = make_puppet(rgb, reference, target, body, landmarks, PuppetConfig(framing="drive"))
    return list(draw_frames(puppet, exact))


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


if __name__ == "__main__":
    main()
