"""The condition map: a colour for each place on the body, lines at the joints, black where there is no person."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.drawing.frames import View
from stages.drawing.palette import VERSION
from stages.drawing.semantic import semantic_rgb
from stages.errors import InputError
from stages.render_cond.config import RenderCondConfig
from stages.render_cond.render import _zoom_shift, render_frames, write_condition
from stages.video.metadata import read_metadata
from stages.video.source import probe, read_frames
from tests.motions import standing

SMALL = RenderCondConfig(width=256, height=256)


def test_one_picture_per_row_black_without_a_person(body: Body) -> None:
    """Rows marked invalid give black frames; nothing is dropped."""
    motion = standing(body, 3)
    motion.valid[1] = False
    frames = list(render_frames(motion, body, SMALL))
    assert [bool(frame.any()) for frame in frames] == [True, False, True]


def test_colours_do_not_depend_on_shape(body: Body) -> None:
    """The colour of a vertex depends on the mean template only, not on the betas."""
    rgb = semantic_rgb(body)
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    left = body.part_vertices("left_hand")
    right = body.part_vertices("right_hand")
    assert rgb[left, 0].min() > 0.85 > 0.15 > rgb[right, 0].max()
    assert rgb[body.part_vertices("head"), 1].mean() > rgb[body.part_vertices("left_foot"), 1].mean() + 0.8


def test_hybrid_adds_only_lines(body: Body) -> None:
    """Without the line drawing most pixels are the same, and lip pixels are no longer white."""
    motion = standing(body, 1)
    drawn, plain = (next(render_frames(motion, body, replace(SMALL, hybrid=hybrid))) for hybrid in (True, False))
    changed = (drawn != plain).any(-1)
    assert 0.003 < changed.mean() < 0.08
    assert (drawn == 255).all(-1).sum() > 10
    assert (plain == 255).all(-1).sum() == 0


def test_limbs_run_between_the_joints(body: Body) -> None:
    """The middle of the projected right upper arm has the colour of that bone."""
    motion = standing(body, 1)
    picture = next(render_frames(motion, body, RenderCondConfig()))
    joints = project(pose_motion(body, motion).joints[0], motion.K[0])
    start, end = (joints[JOINT_NAMES.index(name)] for name in ("right_shoulder", "right_elbow"))
    x, y = ((start + end) / 2)[:2].astype(int)
    np.testing.assert_array_equal(picture[y, x], (0, 59, 153))


def test_torso_and_hip_lines_meet_above_the_hips(body: Body) -> None:
    """The pelvis dot lies 17 % of the way from mid-hips to neck, as in the paper's maps (45 of 262 px)."""
    motion = standing(body, 1)
    picture = next(render_frames(motion, body, RenderCondConfig()))
    joints = project(pose_motion(body, motion).joints[0], motion.K[0])
    left, right, neck = (joints[JOINT_NAMES.index(name)] for name in ("left_hip", "right_hip", "neck"))
    x, y = (0.83 * (left + right) / 2 + 0.17 * neck)[:2].astype(int)
    np.testing.assert_array_equal(picture[y, x], (140, 0, 140))


def test_a_face_turned_away_is_not_drawn(body: Body) -> None:
    """Key lines are z-tested: seen from behind, the left eye's and brow's lines disappear."""
    motion = standing(body, 1)
    counts = []
    for root in ([np.pi, 0, 0], [0, 0, np.pi]):
        motion.poses[:, :3] = root
        picture = next(render_frames(motion, body, RenderCondConfig()))
        counts.append([(picture == colour).all(-1).sum() for colour in ((255, 0, 0), (255, 255, 30))])
    assert min(counts[0]) > 3
    assert counts[1] == [0, 0]


def test_the_whole_picture_is_fitted_and_centred(body: Body) -> None:
    """A landscape picture keeps its aspect inside a square map."""
    motion = standing(body, 1, size=(640, 480))
    K = View.fitted(motion, 512, 512).K
    corners = np.array([[0, 0, 1], [640, 480, 1]]) @ np.linalg.inv(motion.K[0]).T
    np.testing.assert_allclose((corners @ K[0].T)[:, :2], [[0, 64], [512, 448]], atol=1e-3)


def test_zoom_brings_the_person_nearer(body: Body) -> None:
    """Zooming 1:2 leaves the first frame as it is and doubles the size at the last."""
    motion = standing(body, 3)
    areas = {
        zoom: [(frame.any(-1)).sum() for frame in render_frames(motion, body, replace(SMALL, zoom=zoom, hybrid=False))]
        for zoom in ("1", "0.5", "0.5:1")
    }
    assert areas["0.5:1"][0] == areas["0.5"][0]
    assert areas["0.5:1"][2] == areas["1"][2]
    assert areas["0.5"][0] < 0.6 * areas["1"][0]


def test_zoom_is_a_path_over_time(body: Body) -> None:
    """With 1:4:1 the pelvis is four times as near in the middle of the clip's time and twice as near at its quarters,
    also where the frames are not evenly spaced in time."""
    motion = standing(body, 4)
    motion = replace(motion, pts_seconds=np.array([0.0, 0.5, 1.0, 2.0]))
    nearer = motion.trans[:, 2] / (motion.trans + _zoom_shift(motion, "1:4:1"))[:, 2]
    np.testing.assert_allclose(nearer, [1, 2, 4, 1], rtol=1e-5)


@pytest.mark.parametrize("zoom", ["0", "-1", "wide", "1:", "1:nan", "1:inf:1"])
def test_bad_zoom_is_a_one_line_error(body: Body, zoom: str) -> None:
    """A zoom that is not a path of factors is refused with an example."""
    with pytest.raises(InputError, match="1:2:1"):
        next(render_frames(standing(body, 1), body, replace(SMALL, zoom=zoom)))


def test_the_file_is_lossless_and_names_its_colours(body: Body, tmp_path: Path) -> None:
    """cond.mp4 returns every pixel, one frame per row; its metadata names the colour version and the frontal frames."""
    motion = standing(body, 4)
    write_condition(motion, body, SMALL, tmp_path / "cond.mp4")
    read = [frame.rgb for frame in read_frames(tmp_path / "cond.mp4")]
    for ours, theirs in zip(render_frames(motion, body, SMALL), read, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    notes = json.loads(read_metadata(tmp_path / "cond.mp4")["comment"])["notes"]
    assert (notes["colours"], notes["frontal_frames"]) == (VERSION, [0])
    assert probe(tmp_path / "cond.mp4").duration_seconds == pytest.approx(4 / 25, abs=0.04)
