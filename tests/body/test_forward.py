"""The forward pass: posing, and keypoints from it."""

from __future__ import annotations

import numpy as np
import pytest

from stages.body.model import JOINT_NAMES, Body, Posed, keypoints_from, pose_body, shape_vector, shaped_template
from stages.body.rotations import matrix_from_rotvec
from stages.body.skinning import skin_slowly

FRAMES = 4


@pytest.fixture(scope="module")
def template(body: Body) -> np.ndarray:
    generator = np.random.default_rng(1)
    vector = shape_vector(body, generator.normal(size=10), generator.normal(size=25), 1.08, 0.93)
    return shaped_template(body, vector)


@pytest.fixture(scope="module")
def parameters(body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """poses, transl, expression of FRAMES frames."""
    generator = np.random.default_rng(2)
    poses = generator.normal(0, 0.4, (FRAMES, 165))
    expression = generator.uniform(0, 0.6, (FRAMES, len(body.expression_names)))
    return (
        poses.astype(np.float32),
        generator.normal(size=(FRAMES, 3)).astype(np.float32),
        expression.astype(np.float32),
    )


@pytest.fixture(scope="module")
def posed(body: Body, template: np.ndarray, parameters: tuple) -> Posed:
    return pose_body(body, template, *parameters, head_scale=1.08)


def test_rest_pose_is_the_template(body: Body, template: np.ndarray) -> None:
    """Zero pose and zero expression give the shaped template and its regressed joints."""
    rest = pose_body(body, template, np.zeros((1, 165)), np.zeros((1, 3)), np.zeros((1, len(body.expression_names))))
    np.testing.assert_allclose(rest.vertices[0], template, atol=1e-6)
    np.testing.assert_allclose(rest.joints[0], body.J_regressor @ template, atol=1e-6)


def test_global_turn_is_rigid(body: Body, template: np.ndarray, parameters: tuple, posed: Posed) -> None:
    """Another global_orient and transl move the whole posed body as one rigid piece about the pelvis."""
    poses, transl, expression = parameters
    turn, shift = matrix_from_rotvec(np.array([0.3, -0.8, 0.5])), np.array([0.1, 2.0, -0.4])
    turned = poses.copy()
    from stages.body.rotations import rotvec_from_matrix

    turned[:, :3] = rotvec_from_matrix(turn @ matrix_from_rotvec(poses[:, :3].astype(float)))
    moved = pose_body(body, template, turned, transl + shift, expression, head_scale=1.08)
    pelvis = posed.joints[:, :1]
    expected = (posed.vertices - pelvis) @ turn.T + pelvis + shift
    np.testing.assert_allclose(moved.vertices, expected, atol=2e-5)


def test_bones_keep_their_length(body: Body, template: np.ndarray, posed: Posed) -> None:
    """No pose stretches a bone."""
    rest = body.J_regressor @ template
    parents = body.parents[1:]
    length = np.linalg.norm(rest[1:] - rest[parents], axis=-1)
    posed_length = np.linalg.norm(posed.joints[:, 1:] - posed.joints[:, parents], axis=-1)
    np.testing.assert_allclose(posed_length, np.broadcast_to(length, posed_length.shape), atol=2e-5)


def test_batches_do_not_mix(body: Body, template: np.ndarray, parameters: tuple, posed: Posed) -> None:
    """A frame gives the same result alone and in a batch, up to float32 rounding."""
    for row in range(FRAMES):
        alone = pose_body(body, template, *(p[row : row + 1] for p in parameters), head_scale=1.08)
        np.testing.assert_allclose(alone.vertices[0], posed.vertices[row], atol=1e-5)


def test_compiled_skinning_equals_the_slow_one(
    body: Body, template: np.ndarray, parameters: tuple, posed: Posed
) -> None:
    """The numba kernel and one line of numpy over dense weights agree to 2 micrometres."""
    rest = template + np.einsum("vce,fe->fvc", body.exprdirs, 1.08 * parameters[2], optimize=True)
    np.testing.assert_allclose(skin_slowly(rest, body.weights, posed.transforms), posed.vertices, atol=2e-6)


def test_a_knee_moves_only_the_lower_leg(body: Body, template: np.ndarray) -> None:
    """Bending the left knee moves only the left leg and foot, and moves the foot back."""
    poses = np.zeros((1, 165), np.float32)
    knee = JOINT_NAMES.index("left_knee")
    poses[0, 3 * knee] = 1.2
    bent = pose_body(body, template, poses, np.zeros((1, 3)), np.zeros((1, len(body.expression_names)))).vertices[0]
    moved = np.linalg.norm(bent - template, axis=1) > 1e-6
    assert not (moved & ~body.part_vertices("left_leg", "left_foot")).any()
    foot = body.part_vertices("left_foot")
    assert (bent[foot, 2] - template[foot, 2]).max() < -0.1


def test_elbows_flex_forwards(body: Body, template: np.ndarray) -> None:
    """Negative y at the left elbow and positive y at the right bring both hands forward, as in SMPL-X."""
    poses = np.zeros((1, 165), np.float32)
    for side, angle in (("left", -1.5), ("right", 1.5)):
        poses[0, 3 * JOINT_NAMES.index(f"{side}_elbow") + 1] = angle
    bent = pose_body(body, template, poses, np.zeros((1, 3)), np.zeros((1, len(body.expression_names))))
    for side in ("left", "right"):
        hand = body.part_vertices(f"{side}_hand")
        assert (bent.vertices[0, hand, 2] - template[hand, 2]).min() > 0.15


def test_keypoints_are_weighted_vertices(body: Body, posed: Posed, template: np.ndarray) -> None:
    """Skinned keypoints are the weighted means of posed vertices, computed here with a dense matrix."""
    regressor = np.zeros((len(body.keypoint_names), len(body.v_template)))
    np.add.at(regressor, (body.keypoint_row, body.keypoint_column), body.keypoint_value)
    np.testing.assert_allclose(regressor.sum(1), 1, atol=1e-3)
    points = keypoints_from(body, template, posed)
    skinned = body.keypoint_joint < 0
    np.testing.assert_allclose(points[:, skinned], (regressor @ posed.vertices)[:, skinned], atol=1e-5)


def test_bound_keypoints_follow_their_joint(body: Body, posed: Posed, template: np.ndarray) -> None:
    """A hand point keeps its distance to both ends of its bone in any pose."""
    still = pose_body(body, template, np.zeros((1, 165)), np.zeros((1, 3)), np.zeros((1, len(body.expression_names))))
    places = [(keypoints_from(body, template, some), some.joints) for some in (still, posed)]
    bones = {0: ("wrist", "middle1"), 1: ("thumb1", "thumb2"), 5: ("index1", "index2"), 18: ("pinky2", "pinky3")}
    for side in ("left", "right"):
        for number, ends in bones.items():
            row = body.keypoint_names.index(f"{side}_hand_{number:02d}")
            for end in ends:
                rest, moved = (
                    np.linalg.norm(points[:, row] - joints[:, JOINT_NAMES.index(f"{side}_{end}")], axis=-1)
                    for points, joints in places
                )
                np.testing.assert_allclose(moved, np.broadcast_to(rest, moved.shape), atol=2e-5)


def test_all_detector_points_are_named(body: Body) -> None:
    """There are 478 face points, 33 pose points and 21 points per hand, each with a positive sigma."""
    names = [f"face_{n:03d}" for n in range(478)] + [f"pose_{n:02d}" for n in range(33)]
    names += [f"{side}_hand_{n:02d}" for side in ("left", "right") for n in range(21)]
    assert list(body.keypoint_names) == names
    assert (body.keypoint_sigma > 0.001).all()
