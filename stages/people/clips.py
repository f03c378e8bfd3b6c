"""Clips of synthetic people with their exact motion: `person-000012.mp4` and `person-000012.npz`.

Clip n of a seed is the same in every process, so clips are made in parallel, and a stopped run can continue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.manifest import ClipLine
from stages.artifacts.motion import Motion, load_motion, save_motion
from stages.artifacts.provenance import Provenance, config_dict
from stages.body.camera import default_intrinsics, project
from stages.body.model import Body, keypoints_from, load_body, motion_template, pose_joints, pose_motion
from stages.body.same_body import body_points, require_same_body
from stages.body.smplx_layout import joint
from stages.errors import InputError
from stages.people.backgrounds import Background, random_background
from stages.people.config import PeopleConfig
from stages.people.dressed import dress
from stages.people.looks import Looks, random_looks
from stages.people.motions import from_tracked, in_camera, random_motion
from stages.people.painted import Painter

LOWEST = {"full": -1.02, "three_quarters": -0.50, "half": -0.16, "bust": 0.24}
"""Framing -> height at the lower edge of the picture, metres above the mean body's pelvis."""
ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Person:
    """Clip n before it is drawn. `looks` and `motion` may be replaced: other looks need the motion retargeted."""

    number: int
    looks: Looks
    motion: Motion
    framing: str
    background: str
    seed: int


def make_person(body: Body, number: int, config: PeopleConfig, tracked: Sequence[Motion] = ()) -> Person:
    """The person that clip `number` shows, and their motion."""
    random = np.random.default_rng([config.seed, number])
    looks = random_looks(random)
    framing = str(random.choice(list(config.framing)))
    background = str(random.choice(list(config.background)))
    if tracked and random.random() < config.tracked_share:
        source = tracked[int(random.integers(len(tracked)))]
        poses, expression = from_tracked(source, config.frames, config.fps, random)
    else:
        whole = framing in ("full", "three_quarters")
        poses, expression = random_motion(body, config.frames, config.fps, config.seconds_per_pose, whole, random)
    inputs = {f"motion {at}": each.provenance.fingerprint() for at, each in enumerate(tracked)}
    record = Provenance("people", config_dict(config), {"number": str(number), **inputs}, {"body": body.sha256},
                        config.seed, notes={"source": f"person-{number:06d}.mp4"})  # fmt: skip
    motion = _motion(body, looks, in_camera(poses), expression, framing, record, config, random)
    return Person(number, looks, motion, framing, background, int(random.integers(2**62)))


def draw_frames(body: Body, person: Person, factor: int = 2) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The clip's frames, one by one."""
    motion = person.motion
    painter, behind = painter_and_background(body, person)
    for start in range(0, len(motion), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        posed = painter.dressed.posed(
            body, motion.poses[rows], motion.trans[rows], motion.expression[rows], motion.head_scale
        )
        for row, vertices in enumerate(posed, start):
            yield painter.picture(vertices, motion.K[row], behind(float(motion.pts_seconds[row])), factor)


def painter_and_background(body: Body, person: Person) -> tuple[Painter, Background]:
    """The painter of the person, in the motion's body shape, and the background."""
    random, motion = np.random.default_rng(person.seed), person.motion
    looks = replace(person.looks, betas=motion.betas, head_betas=motion.head_betas, head_scale=motion.head_scale,
                    hand_scale=motion.hand_scale)  # fmt: skip
    painter = Painter.of(body, looks, dress(body, looks), random)
    return painter, random_background(person.background, *motion.image_size, random)


def write_person(body: Body, person: Person, config: PeopleConfig, out: Path) -> ClipLine:
    """Draw one clip into `out`. The motion is written last, so an existing motion means that the clip is complete."""
    from stages.video.sink import VideoSink

    video, motion = clip_paths(out, person.number)
    tags = {"comment": person.motion.provenance.to_json()}
    size = config.width, config.height
    with VideoSink(video, *size, config.fps, lossless=config.lossless, metadata=tags, threads=1) as sink:
        for frame in draw_frames(body, person, config.supersample):
            sink.write(frame)
    save_motion(motion, person.motion)
    return clip_line(person, out)


def clip_paths(out: Path, number: int) -> tuple[Path, Path]:
    """A clip's video and motion in the folder `out`."""
    return out / f"person-{number:06d}.mp4", out / f"person-{number:06d}.npz"


def clip_line(person: Person, out: Path) -> ClipLine:
    """The clip's line in the manifest."""
    video, motion = clip_paths(out, person.number)
    figures = {"synthetic": True, "framing": person.framing, "background": person.background}
    return ClipLine(video, motion, len(person.motion), person.motion.fps, 0, figures)


@dataclass(frozen=True)
class PersonJob:
    """Draw clip `number` into `out` with the body file `body`; some clips are moved by one of the motions `tracked`."""

    number: int
    config: PeopleConfig
    out: Path
    body: Path
    tracked: tuple[Path, ...] = ()


def draw_person(job: PersonJob) -> ClipLine:
    """Draw the clip unless it exists, and return its line; any process may call this again at any time.

    Raises InputError for a motion of another body, a full disk, or an existing clip with other settings.
    """
    body, tracked = load_inputs(job.body, job.tracked)
    person = make_person(body, job.number, job.config, tracked)
    video, motion = clip_paths(job.out, job.number)
    if motion.is_file() and video.is_file():
        if load_motion(motion).provenance.fingerprint() != person.motion.provenance.fingerprint():
            raise InputError(f"{motion} was made with other settings; choose another folder, or delete the file")
        return clip_line(person, job.out)
    return write_person(body, person, job.config, job.out)


@cache
def load_inputs(body_file: Path, tracked: tuple[Path, ...]) -> tuple[Body, list[Motion]]:
    """The body and the motions, which each process reads once.

    Raises InputError for a body that the clothes do not fit, and for a motion of another body or of a photo.
    """
    body, motions = load_body(body_file), [load_motion(path) for path in tracked]
    if body.posedirs is not None:
        raise InputError(
            f"synthetic people need the open body, because their clothes fit only it; {body.path} is another"
        )
    for path, motion in zip(tracked, motions, strict=True):
        require_same_body(str(path), motion, body)
        if len(motion) < 2:
            raise InputError(f"{path} is the motion of a photo; give the motion of a video")
    return body, motions


# ---- the camera and the truth
def _motion(
    body: Body, looks: Looks, poses: np.ndarray, expression: np.ndarray, framing: str, record: Provenance,
    config: PeopleConfig, random: np.random.Generator,
) -> Motion:  # fmt: skip
    """The person in front of the camera, as a motion with every value that is known for each frame."""
    frames, size = config.frames, (config.width, config.height)
    K = np.tile(default_intrinsics(*size), (frames, 1, 1))
    motion = Motion(
        trans=np.zeros((frames, 3), np.float32), poses=poses, expression=expression, betas=looks.betas,
        head_betas=looks.head_betas, head_scale=looks.head_scale, hand_scale=looks.hand_scale, K=K, image_size=size,
        fps=Fraction(config.fps), frame_index=np.arange(frames), pts_seconds=np.arange(frames) / config.fps,
        duration_seconds=frames / config.fps, valid=np.ones((frames, 4), bool),
        confidence=np.ones((frames, 4), np.float32), error_px=np.zeros((frames, 4), np.float32),
        face_height_px=np.zeros(frames, np.float32), shoulder_width_px=np.zeros(frames, np.float32),
        body_model=body.name, body_sha256=body.sha256, body_points=body_points(body), provenance=record,
    )  # fmt: skip
    motion = replace(motion, trans=_positions(body, motion, framing, random))
    return replace(motion, **_measurements(body, motion))


def _positions(body: Body, motion: Motion, framing: str, random: np.random.Generator) -> Float[np.ndarray, "frames 3"]:
    """`trans`, metres, so that the framing's part of the person fills the picture and the feet stay on the floor."""
    template = motion_template(body, motion)
    grown = template[:, 1].min() / body.v_template[:, 1].min()
    top, low = template[:, 1].max(), LOWEST[framing] * grown
    width, height = motion.image_size
    fill = random.uniform(0.80, 0.92)
    distance = motion.K[0, 1, 1] * (top - low) / (fill * height)
    aside = random.normal() * 0.04 * distance * width / motion.K[0, 0, 0]
    times = motion.pts_seconds[:, None]
    rate, phase = random.uniform(0.1, 0.4, 3), random.uniform(0, 2 * np.pi, 3)
    sway = np.sin(2 * np.pi * rate * times + phase) * (0.03, 0.005, 0.03)
    joints, _ = pose_joints(body, template, motion.poses, motion.trans)
    ankles = joints[:, [joint("left_ankle"), joint("right_ankle")], 1].max(1)
    rest = (body.J_regressor @ template)[joint("left_ankle"), 1]
    lift = -(ankles + rest)  # y is down in the camera, up in the template
    middle = (top + low) / 2
    place = np.stack([np.full(len(motion), aside), middle + lift, np.full(len(motion), distance)], -1)
    return (place + sway).astype(np.float32)


def _measurements(body: Body, motion: Motion) -> dict[str, np.ndarray]:
    """Validity, confidence and sizes in pixels, as a perfect tracker would measure them."""
    template, (width, height) = motion_template(body, motion), motion.image_size
    posed = pose_motion(body, motion)
    points = keypoints_from(body, template, posed)
    pixels = project(points, motion.K)
    inside = (pixels[..., :2] >= 0).all(-1) & (pixels[..., 0] < width) & (pixels[..., 1] < height)
    rows = {name: np.array([number for number, each in enumerate(body.keypoint_names) if each.startswith(name)])
            for name in ("face_", "left_hand_", "right_hand_")}  # fmt: skip
    facing = posed.transforms[:, joint("head"), 2, 2] < -0.3
    valid = np.ones((len(motion), 4), bool)
    valid[:, 1] = facing & (inside[:, rows["face_"]].mean(1) > 0.8)
    for column, name in ((2, "left_hand_"), (3, "right_hand_")):
        valid[:, column] = inside[:, rows[name]].mean(1) > 0.8
    top, chin = (body.keypoint_names.index(name) for name in ("face_010", "face_152"))
    tall = np.linalg.norm(pixels[:, top, :2] - pixels[:, chin, :2], axis=-1)
    shoulders = posed.joints[:, [joint("left_shoulder"), joint("right_shoulder")]]
    broad = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1) * motion.K[:, 0, 0] / shoulders[:, :, 2].mean(1)
    return {
        "valid": valid,
        "confidence": valid.astype(np.float32),
        "face_height_px": np.where(valid[:, 1], tall, 0).astype(np.float32),
        "shoulder_width_px": broad.astype(np.float32),
    }
