"""Clips whose truth is known, in two grades, for the tracker's benchmarks: what a detector would say, and pictures.

Grade a: projected keypoints with noise, drop-outs, outliers and, on purpose, the failures that each gate exists for.
Grade b: the same kind of motion as a textured, rendered body, for the real detector to look at.
Every failure is a function that damages some frames and returns the parts that are no longer measured there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from benchmarks.truth_motion import random_motion
from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.face_paint import FacePaint, paint_face
from stages.body.landmarks import open_template
from stages.body.model import Body, keypoints_from, motion_template, pose_motion
from stages.detect.gates import PALMS
from stages.detect.observations import PARTS, Observations
from stages.detect.sides import SIDES, with_sides_exchanged
from stages.raster.rasterizer import rasterizer

RUN = 4
"""Frames that a failure lasts."""
Failure = Callable[[Observations, slice, np.random.Generator], tuple[str, ...]]


def damaged(
    observations: Observations, failures: dict[str, Failure], seed: int
) -> tuple[Observations, Bool[np.ndarray, "frames 4"], Bool[np.ndarray, "frames"]]:
    """The observations with each failure in a run of frames of its own, spread over the clip; what is really measured
    (body, face, hands); and the frames that any failure touched."""
    random = np.random.default_rng(seed)
    names = ("pose", "pose_world", "face", "left_hand", "right_hand", "found", "evidence")
    hurt = replace(observations, **{name: getattr(observations, name).copy() for name in names})
    frames = len(observations)
    truth, touched = np.ones((frames, 4), bool), np.zeros(frames, bool)
    starts = np.linspace(2, max(2, frames - RUN - 2), len(failures)).astype(int)
    for start, fail in zip(starts, failures.values(), strict=True):
        rows = slice(int(start), int(start) + RUN)
        parts = fail(hurt, rows, random)
        changed = rows.start + np.flatnonzero(_differ(hurt, observations, names, rows))
        for part in parts:
            truth[changed, PARTS.index(part)] = False
        touched[changed] = True
    return hurt, truth, touched


def _differ(a: Observations, b: Observations, names: tuple[str, ...], rows: slice) -> Bool[np.ndarray, "rows"]:
    """Rows in which any of the arrays differ."""
    pairs = [(getattr(a, name)[rows], getattr(b, name)[rows]) for name in names]
    equal = [((x == y) | (np.isnan(x) & np.isnan(y))).reshape(len(x), -1).all(1) for x, y in pairs]
    return ~np.all(equal, axis=0)


def with_drop_outs(observations: Observations, seed: int, share: float = 0.08) -> Observations:
    """Hands and faces that the detector did not find, and pose points that jump by half a head (2 in a hundred)."""
    random = np.random.default_rng(1000 + seed)
    found = observations.found.copy()
    points = {name: getattr(observations, name).copy() for name in ("pose", *PARTS[1:])}
    for column, part in enumerate(PARTS[1:], 1):
        lost = random.random(len(found)) < share
        points[part][lost], found[lost, column] = np.nan, False
    far = random.random(points["pose"].shape[:2]) < 0.02
    points["pose"][far, :2] += 0.5 * _head(observations) * random.normal(size=(int(far.sum()), 2))
    return replace(observations, found=found, **points)


def _head(observations: Observations) -> float:
    return float(np.nanmedian(np.linalg.norm(observations.face[:, 10, :2] - observations.face[:, 152, :2], axis=-1)))


def _hand_elsewhere(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    o.left_hand[rows, :, :2] += np.array([0.8, -0.9]) * 1.3 * _head(o)
    return ("left_hand",)


def _hand_twice(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    o.right_hand[rows] = o.left_hand[rows]
    return ("right_hand",)


def _hand_beyond_the_edge(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    shift = o.image_size[1] - o.right_hand[rows, :, 1].mean(1) + 0.25 * _head(o)
    o.right_hand[rows, :, 1] += shift[:, None]
    for point in PALMS["right_hand"]:
        o.pose[rows, point, 1] += shift
    return ("right_hand",)


def _hand_too_large(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    wrist = o.left_hand[rows, :1].copy()
    o.left_hand[rows] = wrist + 3.5 * (o.left_hand[rows] - wrist)
    return ("left_hand",)


def _hand_backwards(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    wrist = o.right_hand[rows, :1, :2].copy()
    outwards = wrist - (o.right_hand[rows, :, :2] - wrist)
    along = o.right_hand[rows, 9:10, :2] - wrist
    o.right_hand[rows, :, :2] = outwards - 0.9 * along
    return ("right_hand",)


def _fingers_shuffled(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    for row in range(rows.start, rows.stop):
        o.left_hand[row, 1:] = random.permutation(o.left_hand[row, 1:])
    return ("left_hand",)


def _face_made_up(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    """The mesh of a head in profile where the head is not."""
    centre = o.face[rows].mean(1, keepdims=True)
    x, y, z = np.moveaxis(o.face[rows] - centre, -1, 0)
    c, s = np.cos(1.4), np.sin(1.4)
    o.face[rows] = centre + np.stack([c * x - s * z, y, s * x + c * z], -1)
    return ("face",)


def _face_on_the_wall(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    o.face[rows, :, 0] += 2.0 * _head(o)
    o.evidence[rows, 1] = 2.0
    return ("face",)


def _furniture(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    o.pose[rows, :, :2] = np.array(o.image_size) * random.random((1, 33, 2))
    o.pose_world[rows] = 0.3 * random.normal(size=(1, 33, 3))
    _lose(o, rows, "face", "left_hand", "right_hand")
    o.evidence[rows, 0] = 0.01
    return PARTS


def _another_person(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    for name in ("pose", *PARTS[1:]):
        getattr(o, name)[rows, :, 0] += 3.0 * _head(o)
    o.evidence[rows, 2] = 3.0
    return PARTS


def _another_look(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    """Somebody of the same size steps in front, at almost the same place."""
    for name in ("pose", *PARTS[1:]):
        getattr(o, name)[rows, :, 0] += 0.6 * _head(o)
    o.evidence[rows, 3] = 10.0
    return PARTS


def _face_on_its_head(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    """The mesh of a face that is upside down, on a body that is not."""
    centre = o.face[rows].mean(1, keepdims=True)
    o.face[rows] = centre + (o.face[rows] - centre) * np.array([-1, -1, 1], np.float32)
    return ("face",)


def _giant(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    middle = o.pose[rows, 11:13, :2].mean(1, keepdims=True)
    o.pose[rows, :, :2] = middle + 2.6 * (o.pose[rows, :, :2] - middle)
    _lose(o, rows, "face", "left_hand", "right_hand")
    return PARTS


def _no_torso(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    o.pose[rows, :, :2] += 2.0 * _head(o) * random.normal(size=(1, 1, 2))
    o.pose[rows, 11:, 2] = 0.3
    _lose(o, rows, "face", "left_hand", "right_hand")
    return PARTS


def _doubted_arm(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    """The pose network guesses an arm, and says so."""
    o.pose[rows, 13:17:2, :2] += np.array([0.5, -1.2]) * _head(o)
    o.pose[rows, 13:17:2, 2] = 0.1
    _lose(o, rows, "left_hand")
    return ("left_hand",)


def _jumping(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    """A single frame has another pose, as between two labellings."""
    o.pose[rows.start + 1, :, :2] += 1.5 * _head(o) * random.normal(size=(33, 2))
    return PARTS


def _sides_exchanged(o: Observations, rows: slice, random: np.random.Generator) -> tuple[str, ...]:
    """The network sees the person from behind: no face, and left is called right. Nothing is lost but the face."""
    _lose(o, rows, "face")
    hurt = with_sides_exchanged(o, np.isin(np.arange(len(o)), np.arange(rows.start, rows.stop)))
    for name in ("pose", "pose_world", "left_hand", "right_hand", "found"):
        getattr(o, name)[rows] = getattr(hurt, name)[rows]
    return ("face",)


def _lose(o: Observations, rows: slice, *parts: str) -> None:
    for part in parts:
        getattr(o, part)[rows] = np.nan
        o.found[rows, PARTS.index(part)] = False


FAILURES: dict[str, Failure] = {
    "confidence": _doubted_arm, SIDES: _sides_exchanged, "nobody there": _furniture,
    "somebody else": _another_person, "looks like another": _another_look, "size jumps": _giant,
    "torso unseen": _no_torso, "pose jumps": _jumping, "face turned away": _face_made_up,
    "face upside down": _face_on_its_head, "face off the body": _face_on_the_wall,
    "off the arm": _hand_elsewhere, "outside the picture": _hand_beyond_the_edge, "wrong size": _hand_too_large,
    "off the box": _hand_backwards, "is the other hand": _hand_twice, "missed by the fit": _fingers_shuffled,
}  # fmt: skip
"""Gate -> the failure that it is there for."""


# ---- grade b
SHIRT, TROUSERS, SHOES, HAIR = (52, 84, 140), (60, 58, 66), (30, 30, 34), (58, 40, 30)


def half_size(motion: Motion) -> Motion:
    """The same motion filmed at half the size: 640x360, 30 frames per second, with times to match."""
    K = motion.K.copy()
    K[:, :2] *= 0.5
    width, height = motion.image_size
    frames, fps = len(motion), Fraction(30)
    return replace(
        motion, K=K, image_size=(width // 2, height // 2), fps=fps, pts_seconds=np.arange(frames) / 30,
        duration_seconds=frames / 30,
    )  # fmt: skip


def rendered(body: Body, motion: Motion, seed: int = 0) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Pictures of the body: painted face, hair, patterned shirt, trousers, shoes, lit from above."""
    paint = clothed(body, seed)
    draw, (width, height) = rasterizer("numba"), motion.image_size
    for row in range(len(motion)):
        vertices = pose_motion(body, motion, slice(row, row + 1)).vertices[0]
        fragments = draw(project(vertices, motion.K[row]), body.faces, width, height)
        yield paint_face(body, vertices, paint, fragments)[1]


def clothed(body: Body, seed: int = 0) -> FacePaint:
    """Colours of a dressed body."""
    template = open_template(body)
    rows = [body.keypoint_names.index(f"face_{number:03d}") for number in range(468)]
    entry = np.isin(body.keypoint_row, rows)
    landmarks = np.zeros((468, 3))
    owner = np.searchsorted(rows, body.keypoint_row[entry])
    np.add.at(landmarks, owner, body.keypoint_value[entry, None] * template[body.keypoint_column[entry]])
    paint = FacePaint.from_landmarks(body, template, landmarks)
    colors, place = paint.colors.copy(), body.v_template
    waves = np.random.default_rng(seed).normal(size=(3, 6)) * 25
    pattern = 1 + 0.25 * np.sin(place @ waves).mean(1, keepdims=True)
    neck = place[body.part_vertices("head"), 1].min()
    shirt = body.part_vertices("torso", "left_arm", "right_arm") & (place[:, 1] < neck + 0.03)
    colors[shirt] = np.clip(np.array(SHIRT) * pattern[shirt], 0, 255)
    colors[body.part_vertices("left_leg", "right_leg")] = TROUSERS
    colors[body.part_vertices("left_foot", "right_foot")] = SHOES
    brow = landmarks[[105, 334]].mean(0)
    skin = body.part_vertices("head") & ~np.isfinite(paint.eye_offset[:, 0])
    high, back = place[:, 1] > brow[1] + 0.035, (place[:, 2] < brow[2] - 0.10) & (place[:, 1] > brow[1] - 0.12)
    colors[skin & (high | back)] = HAIR
    return replace(paint, colors=colors)


def write_rendered(body: Body, motion: Motion, path: Path, seed: int = 0) -> None:
    """Grade b as a video file."""
    from stages.video.sink import VideoSink

    with VideoSink(path, *motion.image_size, motion.fps) as sink:
        for picture in rendered(body, motion, seed):
            sink.write(picture)


def keypoints_px(body: Body, motion: Motion) -> Float[np.ndarray, "frames keypoints 3"]:
    """Where the body's own keypoints lie in the picture."""
    return project(keypoints_from(body, motion_template(body, motion), pose_motion(body, motion)), motion.K)


def truth_clip(body: Body, frames: int, seed: int) -> Motion:
    """A gesturing person whose times are those of a clip at 30 frames per second."""
    motion = random_motion(body, frames, seed)
    return replace(motion, fps=Fraction(30), pts_seconds=np.arange(frames) / 30, duration_seconds=frames / 30)
