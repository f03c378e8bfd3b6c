"""Made-up people: drawn as their motion says, the same whoever draws them, dressed on any shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emosh_cli.workers.local import local_engine
from stages.artifacts.motion import load_motion
from stages.body.camera import UPRIGHT
from stages.body.model import Body, joint_transforms, pose_motion
from stages.body.rotations import matrix_from_rotvec
from stages.body.store import open_body
from stages.errors import InputError
from stages.people.clips import PersonJob, draw_frames, draw_person, load_inputs, make_person, painter_and_background
from stages.people.config import BACKGROUNDS, PeopleConfig
from stages.people.dressed import MATERIALS, _cloth_surface, _cut, dress
from stages.people.looks import Cloth, random_looks
from stages.people.motions import eased, from_tracked, in_camera
from stages.people.painted import pattern_colour
from stages.raster.shading import vertex_normals
from stages.render_cond.config import RenderCondConfig
from stages.render_cond.render import render_frames

SMALL = PeopleConfig(width=64, height=64, frames=5, lossless=True)


@pytest.fixture(scope="module")
def body() -> Body:
    return open_body()


def test_a_clip_is_the_same_whoever_draws_it_and_another_number_is_another_person(body: Body, tmp_path: Path) -> None:
    """Two processes and this one draw the same pictures; a second run draws nothing anew; others' are refused."""
    jobs = [PersonJob(number, SMALL, tmp_path, body.path) for number in (3, 4)]
    lines = [line for _, line in sorted(local_engine(2)(draw_person, jobs), key=lambda each: each[0].number)]
    person = make_person(body, 3, SMALL)
    from stages.video.source import read_frames

    kept = np.stack([frame.rgb for frame in read_frames(lines[0].video)])
    np.testing.assert_array_equal(kept, np.stack(list(draw_frames(body, person))))
    motion = load_motion(tmp_path / "person-000003.npz")
    np.testing.assert_array_equal(motion.poses, person.motion.poses)
    assert not np.allclose(motion.betas, load_motion(tmp_path / "person-000004.npz").betas)
    before = lines[0].video.stat().st_mtime_ns
    assert [line.frames for line in map(draw_person, jobs)] == [5, 5]
    assert lines[0].video.stat().st_mtime_ns == before
    with pytest.raises(InputError, match="other settings"):
        draw_person(replace(jobs[0], config=replace(SMALL, frames=6)))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_person_is_where_the_motion_says(body: Body, background: str) -> None:
    """The body that the condition map draws from the motion is inside the person in the picture, and their cloth hides
    little else: what differs from the background covers the map, and not much more than it."""
    config = replace(SMALL, width=96, height=96, background=(background,))
    for number in (0, 1):
        person = make_person(body, number, config)
        drawn = np.stack(list(draw_frames(body, person)))
        _, behind = painter_and_background(body, person)
        empty = np.stack([np.clip(behind(float(t)), 0, 1) * 255 for t in person.motion.pts_seconds])
        shown = np.abs(drawn - empty).max(-1) > 2
        small = RenderCondConfig(width=96, height=96, hybrid=False)
        cond = np.stack(list(render_frames(person.motion, body, small))).max(-1) > 40
        assert shown[cond].mean() > 0.97
        assert shown.sum() < 1.6 * cond.sum()


def test_garments_move_with_the_body_in_any_pose_and_shape(body: Body) -> None:
    """The naked vertices among the dressed ones are pose_motion's, and no garment's vertex is left behind: each stays
    within a hand's breadth of where its own skin is, skirts and long hair aside."""
    random = np.random.default_rng(5)
    for number in range(6):
        person = make_person(body, number, SMALL)
        looks = replace(random_looks(random), bottom_kind="trousers", bottom_hem=-0.8, hair_style="short",
                        betas=person.motion.betas, head_betas=person.motion.head_betas,
                        head_scale=person.motion.head_scale, hand_scale=person.motion.hand_scale)  # fmt: skip
        dressed, motion = dress(body, looks), person.motion
        posed = dressed.posed(body, motion.poses, motion.trans, motion.expression, motion.head_scale)
        naked = pose_motion(body, motion).vertices
        np.testing.assert_allclose(posed[:, : naked.shape[1]], naked, atol=1e-5)
        away = np.linalg.norm(posed[:, naked.shape[1] :] - posed[:, dressed.source], axis=-1)
        assert away.max() < 0.15
        assert set(np.unique(dressed.material)) >= {MATERIALS.index(name) for name in ("skin", "hair", "top", "shoes")}


def test_what_hangs_free_is_lit_from_outside(body: Body) -> None:
    """The triangles of a skirt and of long hair face away from what they are around, as those of the skin do."""
    looks = replace(random_looks(np.random.default_rng(1)), bottom_kind="skirt", bottom_hem=-0.5, hair_style="long")
    dressed = dress(body, looks)
    vertices = np.concatenate([dressed.template, dressed.template[dressed.source] + dressed.offset])
    for name in ("bottom", "hair", "skin"):
        corners = vertices[dressed.faces[dressed.material == MATERIALS.index(name)][-400:]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        middle = corners.mean(1)
        axis = (middle.min(0) + middle.max(0)) / 2
        assert (((middle - axis) * normals)[:, [0, 2]].sum(1) > 0).mean() > (0.6 if name == "skin" else 0.95), name


def test_cloth_bridges_hollows(body: Body) -> None:
    """What cloth lies on is never inside the skin, and above it where trunk or foot is hollow, by no more than 1 and 3
    cm; arms, neck and head are as they are."""
    normals = vertex_normals(body.v_template, body.faces)
    filled = ((_cloth_surface(body, body.v_template, normals) - body.v_template) * normals).sum(1)
    assert filled.min() > -1e-6
    assert 0.003 < filled[body.part_vertices("left_foot")].max() < 0.03
    assert 0.002 < filled[body.part_vertices("torso")].max() < 0.01
    assert filled[body.v_template[:, 1] > 0.5].max() < 1e-6
    assert np.abs(filled[body.part_vertices("head", "left_arm", "right_hand")]).max() < 1e-6


def test_both_eyes_blink_together(body: Body) -> None:
    """The lids of both sides close at the same moments, and they do."""
    motion = make_person(body, 0, replace(SMALL, frames=90)).motion
    left, right = (motion.expression[:, body.expression_names.index(f"eyeBlink{side}")] for side in ("Left", "Right"))
    np.testing.assert_array_equal(left, right)
    assert left.max() > 0.9


def test_another_body_is_refused(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """Garments are cut for the open body; one with pose correctives is refused by its file."""
    other = replace(body, posedirs=np.zeros((len(body.v_template), 3, 486), np.float32), path=Path("ehm.npz"))
    monkeypatch.setattr("stages.people.clips.load_body", lambda _: other)
    with pytest.raises(InputError, match=r"open body, because their clothes fit only it; ehm\.npz is another"):
        load_inputs(other.path, ())


def test_a_cut_follows_the_function_and_not_the_triangles(body: Body) -> None:
    """The area kept of a triangle cut at a known line is the known area, and every new point lies on that line."""
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    faces = np.array([[0, 1, 2], [1, 3, 2]])
    for height in (0.25, 0.6):
        cut = _cut(faces, height - points[:, 1])
        share = cut.share[:, None]
        found = (1 - share) * points[cut.first] + share * points[cut.second]
        corners = found[cut.faces]
        area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
        assert (area > 0).all(), "triangles keep their side"
        assert area.sum() == pytest.approx(height)
        assert found[:, 1].max() == pytest.approx(height)


def test_movements_pass_through_their_poses_and_never_the_long_way_round() -> None:
    """At a key's moment the joint is at the key, between two keys it turns by no more than the angle between them."""
    keys = np.zeros((2, 55, 3))
    keys[0, :, 1], keys[1, :, 1] = 3.0, -3.0
    found = eased(keys, np.array([0.0, 1.0]), np.linspace(0, 1, 21))
    np.testing.assert_allclose(matrix_from_rotvec(found[0]), matrix_from_rotvec(keys[0]), atol=1e-9)
    np.testing.assert_allclose(matrix_from_rotvec(found[-1]), matrix_from_rotvec(keys[1]), atol=1e-9)
    assert np.abs(found[:, :, 1]).min() > 2.99, "6 radians apart are .28 apart through pi"


def test_a_tracked_motion_is_taken_over_as_it_was_or_in_the_mirror(body: Body) -> None:
    """At its own rate a stretch of a motion has that motion's joints, or those of its mirror image."""
    motion = make_person(body, 7, replace(SMALL, frames=30)).motion
    zero = np.zeros((30, 3), np.float32)

    def joints(poses: np.ndarray) -> np.ndarray:
        turns = matrix_from_rotvec(poses.reshape(-1, 55, 3).astype(np.float64))
        rest = body.J_regressor @ body.v_template
        rest = (rest + rest[_mirrored()] * [-1, 1, 1]) / 2  # the same person left and right
        transforms = joint_transforms(body.parents, turns, rest, zero)
        return (transforms[..., :3] @ rest[:, :, None])[..., 0] + transforms[..., 3]

    truth = joints(motion.poses)
    flipped = truth[:, _mirrored()] * [-1, 1, 1]
    seen = set()
    for seed in range(8):
        poses, _ = from_tracked(motion, 30, 25, np.random.default_rng(seed))
        found = joints(in_camera(poses))
        plain, mirror = np.abs(found - truth).max(), np.abs(found - flipped).max()
        assert min(plain, mirror) < 2e-3
        seen.add(plain < mirror)
    assert seen == {True, False}
    assert np.allclose(UPRIGHT @ UPRIGHT, np.eye(3))


def _mirrored() -> np.ndarray:
    from stages.people.motions import _SWAPPED

    return _SWAPPED


def test_only_sleeves_are_patterned_along_the_arm() -> None:
    """Stripes run down a skirt that is wider than the shoulders as they do down its front, and along a sleeve."""
    heights, depth = np.linspace(-0.6, 0.0, 50), np.zeros(50)
    cloth = Cloth((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "stripes", 0.1)
    for x in (0.05, 0.3):
        assert np.ptp(pattern_colour(cloth, np.stack([np.full(50, x), heights, depth], 1))) == 0
    along = np.linspace(0.3, 0.6, 50)
    assert np.ptp(pattern_colour(cloth, np.stack([along, np.full(50, 0.45), depth], 1))) == 0
    assert np.ptp(pattern_colour(cloth, np.stack([np.full(50, 0.3), np.linspace(0.4, 0.5, 50), depth], 1))) == 1
