"""The puppet against true pictures: made-up people photographed from several sides, by the photo's yaw, pitch and arms.

    python -m benchmarks.puppet_truth [--people 4] [--frames 6] [--write]

A made-up person of `stages.people` stands turned by a yaw, or tilted by a pitch, or with the arms of ARMS in the photo.
The first frame of their random motion, in a half-body picture of 512 pixels, is the photo. Frames spread over the
motion are drawn by the puppet with the exact motion and compared with the true pictures: seen from the photo's side, as
the puppet's relative turns do, and from the front, where it must guess what the photo does not show.
PSNR is inside the true person, face and hands; SSIM inside the true
person. A still copy of the photo is measured in the same way. Nothing is tracked: the figures are the drawing's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import Motion, select_rows
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.body.store import open_body
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.generate import detect_face, draw_frames, make_puppet
from stages.people.clips import draw_frames as draw_people
from stages.people.clips import make_person
from stages.people.config import PeopleConfig
from stages.raster.rasterizer import rasterizer
from stages.video.png import write_png

YAWS = (0, 20, 35, 50)
SEEN_FROM = ("the photo's side", "the front")
PITCHES = (-20, 20)
ARMS = {
    "as in the motion": {},
    "crossed": {"shoulder": (0.3, -1.2, 0.5), "elbow": (0.0, -1.5, 0.0)},
    "before the face": {"shoulder": (0.3, -1.0, 1.5), "elbow": (0.0, -0.7, 0.0)},
    "down": {"shoulder": (0.0, 0.0, -1.1), "elbow": (0.0, 0.0, 0.0)},
}
"""Rotation vectors of the left arm's joints in the photo; the right arm's are mirrored."""
REGIONS = ("person", "face", "trunk", "hands")
PEOPLE = PeopleConfig(framing=("half",), background=("plain", "gradient", "room"), tracked_share=0.0, frames=50)
COLUMNS = (
    Column("yaw", "photo's yaw", "degrees", 0), Column("pitch", "pitch", "degrees, positive: bent to the camera", 0),
    Column("arms", "arms in the photo"), Column("seen", "seen from"), Column("drawn", "drawn by"),
    *(Column(region, f"PSNR {region}", "dB") for region in REGIONS), Column("ssim", "SSIM person", digits=3),
    Column("found", "faces found in the photos", "share", 2),
)  # fmt: skip


def main() -> None:
    """Print and record two rows per yaw."""
    parser = arguments(__doc__)
    parser.add_argument("--people", type=int, default=4, help="made-up people")
    parser.add_argument("--frames", type=int, default=6, help="frames compared per person")
    options = parser.parse_args()
    body = open_body()
    what = "The puppet against true pictures: made-up people photographed from several sides."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for yaw, pitch, arms, seen in _photos():
            view = yaw if seen == SEEN_FROM[0] else 0
            photo = yaw, pitch, ARMS[arms]
            numbers = range(options.people)
            scores = [each for number in numbers for each in _scores(body, number, photo, view, options.frames)]
            for name in ("puppet", "copy of the photo"):
                mine = [score for drawn, score in scores if drawn == name]
                cells = {key: float(np.nanmean([score[key] for score in mine])) for key in (*REGIONS, "ssim", "found")}
                found.row(yaw=yaw, pitch=pitch, arms=arms, seen=seen, drawn=name, **cells)
        found.note("PSNR is the mean over frames and people. Motion and body are exact; the photo's face is detected.")


def _photos() -> Iterator[tuple[int, int, str, str]]:
    """(yaw, pitch, arms, side the motion is seen from) of every row."""
    usual, *others = ARMS
    for seen in SEEN_FROM:
        yield from ((yaw, 0, usual, seen) for yaw in YAWS if yaw or seen == SEEN_FROM[0])
    yield from ((0, pitch, usual, SEEN_FROM[0]) for pitch in PITCHES)
    yield from ((0, 0, arms, SEEN_FROM[0]) for arms in others)


def _scores(
    body: Body, number: int, photo: tuple[float, float, dict[str, tuple[float, ...]]], view: float, frames: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """(drawn by, figures) of every frame of one person."""
    person = make_person(body, number, PEOPLE)
    rows = np.linspace(0, len(person.motion) - 1, frames + 1).round().astype(int)
    motion = select_rows(person.motion, rows)
    yaw, pitch, arms = photo
    reference = turned(with_arms(select_rows(motion, slice(0, 1)), arms), yaw, pitch)
    target = turned(select_rows(motion, slice(1, None)), view, pitch)
    truth = [frame for part in (reference, target) for frame in draw_people(body, replace(person, motion=part))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.png"
        write_png(path, truth[0])
        landmarks = detect_face(path)
    config = PuppetConfig(framing="drive")  # the motion as it is; its camera is the photo's
    puppet, exact, _ = make_puppet(truth[0], reference, target, body, landmarks, config)
    for row, frame in enumerate(draw_frames(puppet, exact)):
        masks = regions(target, row, body)
        for name, picture in (("puppet", frame), ("copy of the photo", truth[0])):
            yield name, {**figures(picture, truth[row + 1], masks), "found": float(landmarks is not None)}


def with_arms(motion: Motion, arms: dict[str, tuple[float, ...]]) -> Motion:
    """The motion with both arms in this pose, see ARMS."""
    poses = motion.poses.copy()
    for name, rotation in arms.items():
        for side, mirror in (("left", (1, 1, 1)), ("right", (1, -1, -1))):
            at = 3 * JOINT_NAMES.index(f"{side}_{name}")
            poses[:, at : at + 3] = np.array(rotation) * mirror
    return replace(motion, poses=poses)


def turned(motion: Motion, yaw: float, pitch: float = 0.0) -> Motion:
    """The motion with the person turned through the pelvis: about the vertical, to the picture's right, then about the
    picture's horizontal, bent to the camera. Degrees."""
    turn = matrix_from_rotvec(np.radians([[0.0, -yaw, 0.0], [pitch, 0.0, 0.0]]))
    poses = motion.poses.copy()
    poses[:, :3] = rotvec_from_matrix(turn[1] @ turn[0] @ matrix_from_rotvec(poses[:, :3].astype(np.float64)))
    return replace(motion, poses=poses)


def regions(motion: Motion, row: int, body: Body) -> dict[str, Bool[np.ndarray, "height width"]]:
    """The pixels of the true body and of its parts. Clothes and hair beside the body are left out."""
    vertices = pose_motion(body, motion, slice(row, row + 1)).vertices[0]
    fragments = rasterizer("numba")(project(vertices, motion.K[row]).astype(np.float32), body.faces, *motion.image_size)
    corners = body.faces[fragments.face]
    person = fragments.face >= 0
    members = {"face": body.sets["face_skin"], "hands": body.part_vertices("left_hand", "right_hand")}
    members["trunk"] = body.part_vertices("torso")
    for limb in ("arm", "leg"):
        members[f"{limb}s"] = body.part_vertices(f"left_{limb}", f"right_{limb}")
    return {"person": person, **{name: person & mask[corners].all(-1) for name, mask in members.items()}}


def figures(
    picture: UInt8[np.ndarray, "height width 3"],
    truth: UInt8[np.ndarray, "height width 3"],
    masks: dict[str, Bool[np.ndarray, "height width"]],
) -> dict[str, float]:
    """PSNR in each region, NaN where it has under 50 pixels, and SSIM inside the person."""
    from skimage.metrics import structural_similarity

    error: Float[np.ndarray, "height width 3"] = (picture.astype(float) - truth) ** 2
    found = {
        name: float(10 * np.log10(255**2 / max(error[mask].mean(), 1e-6))) if mask.sum() >= 50 else np.nan
        for name, mask in masks.items()
    }
    similar = np.asarray(structural_similarity(picture, truth, channel_axis=2, full=True)[1])
    return {**found, "ssim": float(similar[masks["person"]].mean())}


if __name__ == "__main__":
    main()
