"""What the look at a photo measures, beside how much worse the puppet is: the limits of its sentences.

    python -m benchmarks.puppet_look [--people 3] [--frames 3] [--write]

Made-up people of `stages.people` are photographed from the front with hanging arms, and in ever harder ways: turned,
with the head tilted, with a hand before the face, with arms before the trunk, and whole people turned up to their back.
All photos of a person are driven by the same frames, with the exact body, and compared with the true pictures. The loss
is the PSNR of the easy photo less that of the hard one, in the part that the sentence is about. Photos are sorted by
what the look measures. A sentence is worth saying from where the loss is LOSS.
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

LOSS = 1.5
"""Decibels from which a loss is worth a sentence: chosen here, half of what two neighbouring photos differ by."""
HALF = PeopleConfig(framing=("half",), background=("plain", "gradient", "room"), tracked_share=0.0, frames=50,
                    width=384, height=384)  # fmt: skip
WHOLE = replace(HALF, framing=("full",))
DOWN = {"left_shoulder": (0.0, 0.0, -1.1), "left_elbow": (0.0, 0.0, 0.0),
        "right_shoulder": (0.0, 0.0, 1.1), "right_elbow": (0.0, 0.0, 0.0)}  # fmt: skip
CROSSED = {"left_shoulder": (0.3, -1.2, 0.5), "left_elbow": (0.0, -1.5, 0.0),
           "right_shoulder": (0.3, 1.2, -0.5), "right_elbow": (0.0, 1.5, 0.0)}  # fmt: skip
AT_FACE = {"left_shoulder": (0.3, -1.0, 1.5), "left_elbow": (0.0, -0.7, 0.0)}
SHARES = (0.4, 0.6, 0.75, 0.9, 1.0)
COLUMNS = (
    Column("sentence", "what is said"), Column("part", "part"), Column("low", "measured, from", "", 2),
    Column("high", "to", "", 2), Column("photos", "photos", "", 0), Column("loss", "loss", "dB"),
    Column("worst", "largest loss", "dB"), Column("said", "said today"),
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
    """One sentence: what it measures, in which part it tells of a loss, and from where it is said today."""

    name: str
    kind: str
    measure: str
    part: str
    edges: tuple[float, ...]
    limit: float


PHOTOS = (
    Photo("easy"),
    *(Photo("turned", yaw=yaw) for yaw in (8, 14, 20, 26, 32, 45)),
    *(Photo("tilted", pitch=pitch) for pitch in (-35, -25, -15, 15, 25, 35)),
    *(Photo("at the face", arms="face", share=share) for share in SHARES),
    *(Photo("crossed", arms="crossed", share=share) for share in SHARES),
)
WHOLE_PHOTOS = (Photo("easy"), *(Photo("turned", yaw=yaw) for yaw in (20, 40, 60, 90, 120)))
COVER_EDGES = (0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
SENTENCES = (
    Sentence("face turned", "turned", "yaw", "face", (0, 5, 10, 15, 20, 25, 30, 40, 60), look.TURNED_DEGREES),
    Sentence("face tilted", "tilted", "pitch", "face", (0, 10, 20, 25, 30, 35, 40, 60), look.PITCHED_DEGREES),
    Sentence("face covered", "at the face", "face_covered", "face", COVER_EDGES, look.FACE_COVERED),
    Sentence("arms cross the trunk", "crossed", "trunk_covered", "trunk", COVER_EDGES, look.TRUNK_COVERED),
    *(Sentence(f"{part} not in the photo", "", part, part, COVER_EDGES, limit) for part, limit in look.GUESSED.items()),
)


def main() -> None:
    """Print and record a row per sentence and range of what it measures."""
    parser = arguments(__doc__)
    parser.add_argument("--people", type=int, default=3, help="made-up people")
    parser.add_argument("--frames", type=int, default=3, help="frames compared per photo")
    options = parser.parse_args()
    body = open_body()
    what = "What the look at a photo measures, beside how much worse the puppet is than from an easy photo."
    found = [
        (photo, measures, loss)
        for config, photos in ((HALF, PHOTOS), (WHOLE, WHOLE_PHOTOS))
        for number in range(options.people)
        for photo, measures, loss in losses(body, make_person(body, number, config), photos, options.frames)
    ]
    with Recorder(what, *COLUMNS, keep=options) as record:
        for sentence in SENTENCES:
            for row in _rows(sentence, found):
                record.row(**row)
        record.note(f"PSNR against true pictures, mean over frames; {options.people} people; the body is exact.")
        record.note(f"A sentence is worth saying from a loss of {LOSS} dB.")


def _rows(
    sentence: Sentence, found: list[tuple[Photo, dict[str, float], dict[str, float]]]
) -> Iterator[dict[str, object]]:
    """A row per range between two edges in which there are photos."""
    mine = [
        (abs(measures[sentence.measure]), loss[sentence.part])
        for photo, measures, loss in found
        if sentence.kind in ("", photo.kind) and sentence.measure in measures and np.isfinite(loss[sentence.part])
    ]
    for low, high in zip(sentence.edges[:-1], sentence.edges[1:], strict=True):
        inside = [loss for measured, loss in mine if low <= measured < high or measured == high == sentence.edges[-1]]
        if inside:
            said = "yes" if low >= sentence.limit else "partly" if high > sentence.limit else ""
            yield {
                "sentence": sentence.name, "part": sentence.part, "low": low, "high": high, "photos": len(inside),
                "loss": float(np.mean(inside)), "worst": float(np.max(inside)), "said": said,
            }  # fmt: skip


def losses(
    body: Body, person: Person, photos: tuple[Photo, ...], frames: int
) -> Iterator[tuple[Photo, dict[str, float], dict[str, float]]]:
    """Each photo of a person, what the look measures of it, and the loss in decibels by part; the first photo is easy."""
    rows = np.linspace(0, len(person.motion) - 1, frames + 1).round().astype(int)
    motion = select_rows(person.motion, rows)
    front, target = select_rows(motion, slice(0, 1)), with_joints(select_rows(motion, slice(1, None)), DOWN)
    truth = list(draw_people(body, replace(person, motion=target)))
    masks = [regions(target, row, body) for row in range(len(target))]
    best: dict[str, np.ndarray] = {}
    for photo in photos:
        reference = photographed(front, photo)
        drawn = _drawn(body, person, reference, target)
        scores = [figures(frame, true, mask) for frame, true, mask in zip(drawn, truth, masks, strict=True)]
        table = {part: np.array([score[part] for score in scores]) for part in masks[0]}
        best = best or table
        yield photo, measured(body, reference, target), {part: _mean(best[part] - table[part]) for part in table}


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
    """What the look at the photo measures: angles in degrees, and shares, of parts that are large enough to be told of."""
    posed = pose_motion(body, reference, slice(0, 1))
    yaw, pitch = look.head_angles(posed.transforms[0, JOINT_NAMES.index("head"), :, :3])
    face, trunk = look.covered_shares(posed.vertices[0], reference, body)
    shares = look.unseen_shares(reference, target, body).items()
    unseen = {name: share for name, (share, shown) in shares if shown >= look.LEAST_SHOWN}
    return {"yaw": yaw, "pitch": pitch, "face_covered": face, "trunk_covered": trunk, **unseen}


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
