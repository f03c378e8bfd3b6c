"""BVH, read back by a parser that shares nothing with the writer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stages.body.model import JOINT_NAMES, Body, motion_template, pose_body
from stages.export.amass import to_amass
from stages.export.bvh import write_bvh
from tests.motions import joint, standing


@dataclass
class Bone:
    """A joint as the file tells it."""

    name: str
    parent: int
    offset: np.ndarray
    channels: list[str]


def parsed(path: Path) -> tuple[list[Bone], float, np.ndarray]:
    """Bones in the file's order, the frame time, and the rows of channel values."""
    words = iter(path.read_text().split())
    bones: list[Bone] = []
    open_braces: list[int] = []
    for word in words:
        if word in ("ROOT", "JOINT"):
            bones.append(Bone(next(words), open_braces[-1] if open_braces else -1, np.zeros(3), []))
        elif word == "End":
            assert next(words) == "Site"
            bones.append(Bone("End", open_braces[-1], np.zeros(3), []))
        elif word == "{":
            open_braces.append(len(bones) - 1)
        elif word == "OFFSET":
            bones[open_braces[-1]].offset = np.array([float(next(words)) for _ in range(3)])
        elif word == "CHANNELS":
            bones[open_braces[-1]].channels = [next(words) for _ in range(int(next(words)))]
        elif word == "}":
            open_braces.pop()
        elif word == "MOTION":
            break
    assert not open_braces
    assert next(words) == "Frames:"
    frames = int(next(words))
    assert (next(words), next(words)) == ("Frame", "Time:")
    seconds = float(next(words))
    values = np.array([float(word) for word in words]).reshape(frames, -1)
    assert values.shape[1] == sum(len(bone.channels) for bone in bones)
    return bones, seconds, values


def posed(bones: list[Bone], row: np.ndarray) -> dict[str, np.ndarray]:
    """Where each named bone is in a frame: channels applied in the order in which the file lists them."""
    values = iter(row)
    worlds: list[np.ndarray] = []
    for bone in bones:
        local = np.eye(4)
        local[:3, 3] = bone.offset
        for channel in bone.channels:
            local = local @ elementary(channel, next(values))
        worlds.append(local if bone.parent < 0 else worlds[bone.parent] @ local)
    return {bone.name: world[:3, 3] for bone, world in zip(bones, worlds, strict=True)}


def elementary(channel: str, value: float) -> np.ndarray:
    """One channel's 4 x 4 matrix."""
    axis, matrix = "XYZ".index(channel[0]), np.eye(4)
    if channel.endswith("position"):
        matrix[axis, 3] = value
        return matrix
    first, second = (axis + 1) % 3, (axis + 2) % 3
    cosine, sine = np.cos(np.radians(value)), np.sin(np.radians(value))
    matrix[[first, second], [first, second]] = cosine
    matrix[second, first], matrix[first, second] = sine, -sine
    return matrix


@pytest.mark.parametrize("units", [100.0, 1.0])
def test_the_skeleton_moves_as_our_forward_pass(body: Body, tmp_path: Path, units: float) -> None:
    """All 55 joints of every frame, read back, lie within 0.02 mm of the posed body's."""
    motion = standing(body, 5, seed=6)
    motion.poses[:, joint("left_wrist")] = [[0.3, -1.2, 0.9], [2.9, 0.2, 0.1], [0, 1.57, 0], [1.57, 0, 0], [0, 0, 3]]
    write_bvh(tmp_path / "a.bvh", motion, body, units_per_metre=units)
    bones, seconds, rows = parsed(tmp_path / "a.bvh")
    arrays = to_amass(motion, body)
    expected = pose_body(
        body, motion_template(body, motion), arrays["poses"], arrays["trans"], arrays["expression"]
    ).joints
    assert seconds == pytest.approx(1 / 25)
    assert len(rows) == len(motion)
    for frame, row in enumerate(rows):
        found = posed(bones, row)
        places = np.array([found[name] for name in JOINT_NAMES]) / units
        assert np.abs(places - expected[frame]).max() < 2e-5


def test_it_is_resampled_to_a_whole_rate(body: Body, tmp_path: Path) -> None:
    """At 60 frames a second, 5 rows at 25 become 12."""
    assert write_bvh(tmp_path / "a.bvh", standing(body, 5), body, fps=60) == (12, 60)
    _, seconds, rows = parsed(tmp_path / "a.bvh")
    assert (len(rows), round(1 / seconds)) == (12, 60)


def test_angles_do_not_jump(body: Body, tmp_path: Path) -> None:
    """A joint that turns on past half a turn keeps rising, so that software that blends frames does not spin it."""
    motion = standing(body, 20)
    motion.poses[:, joint("left_shoulder")] = 0
    motion.poses[:, joint("left_shoulder").start + 2] = np.linspace(2.5, 4.4, 20)
    write_bvh(tmp_path / "a.bvh", motion, body)
    _, _, rows = parsed(tmp_path / "a.bvh")
    assert np.abs(np.diff(rows, axis=0)).max() < 40


def test_every_chain_ends(body: Body, tmp_path: Path) -> None:
    """Each fingertip, toe, eye and the chin has an end of a length a bone can have, 1 to 20 cm."""
    write_bvh(tmp_path / "a.bvh", standing(body, 1), body)
    ends = [bone.offset for bone in parsed(tmp_path / "a.bvh")[0] if bone.name == "End"]
    lengths = np.linalg.norm(ends, axis=1)
    assert len(ends) == 15
    assert (lengths > 1).all()
    assert (lengths < 20).all()
