"""Which vertices and joints body shape, head shape, the scales and expression move."""

from __future__ import annotations

import numpy as np
import pytest

from stages.body.model import Body

EYES = [23, 24]


@pytest.fixture(scope="module")
def rest_joints(body: Body) -> np.ndarray:
    return body.J_regressor @ body.v_template


def inner_head(body: Body) -> np.ndarray:
    """Mask of the face and skull: vertices that move with head, jaw or eyes only."""
    return body.weights[:, [15, 22, 23, 24]].sum(1) > 0.999


def test_betas_move_the_head_as_a_whole(body: Body) -> None:
    """With betas every head vertex moves with the midpoint of the eyes; its relative change is below 0.05 mm."""
    directions = body.shapedirs[:, :, : body.num_betas]
    joints = np.einsum("jv,vcs->jcs", body.J_regressor, directions)
    relative = directions[inner_head(body)] - joints[EYES].mean(0)
    assert np.abs(relative).max() < 3e-4 * 3
    mean_free = directions[inner_head(body)] - directions[inner_head(body)].mean(0)
    assert np.abs(mean_free).max() < 5e-5


def test_betas_change_the_body(body: Body) -> None:
    """The first body coefficient is overall size: one standard deviation changes the height by more than 5 cm."""
    direction = body.shapedirs[:, :, 0]
    change = np.ptp(body.v_template[:, 1] + direction[:, 1]) - np.ptp(body.v_template[:, 1])
    assert abs(change) > 0.05


def test_head_betas_stay_above_the_shoulders(body: Body) -> None:
    """No head coefficient moves torso vertices below the collar bones, an arm, a hand, a leg or a foot."""
    first = body.num_betas
    columns = [*range(first, first + body.num_head_betas), body.shapedirs.shape[2] - 2]
    neck = body.weights[:, 12] > 1e-6
    below = ~body.part_vertices("head") & ~neck
    assert below.sum() > 5000
    assert np.abs(body.shapedirs[below][:, :, columns]).max() == 0


def test_head_betas_keep_the_midpoint_of_the_eyes(body: Body) -> None:
    """Head shape is relative to the midpoint of the eyes, which moves below 0.5 mm per standard deviation."""
    first = body.num_betas
    joints = np.einsum("jv,vcs->jcs", body.J_regressor, body.shapedirs[:, :, first : first + body.num_head_betas])
    assert np.abs(joints[EYES].mean(0)).max() < 5e-4


def test_head_and_hand_scale_grow_by_their_factor(body: Body, rest_joints: np.ndarray) -> None:
    """head_scale 1.1 sets the eyes 10 % further apart; hand_scale 1.1 lengthens fingers and moves nothing but hands."""
    heads, hands = (body.v_template + 0.1 * body.shapedirs[:, :, column] for column in (-2, -1))
    eyes = body.J_regressor[EYES]
    apart = [np.linalg.norm(np.subtract(*(eyes @ shape))) for shape in (body.v_template, heads)]
    assert apart[1] / apart[0] == pytest.approx(1.1, abs=0.002)
    for first, last in ((25, 27), (40, 42)):
        bone = [
            np.linalg.norm((body.J_regressor[last] - body.J_regressor[first]) @ shape)
            for shape in (body.v_template, hands)
        ]
        assert bone[1] / bone[0] == pytest.approx(1.1, abs=0.01)
    moved = np.abs(body.shapedirs[:, :, -1]).max(1) > 1e-6
    assert not moved[body.part_vertices("torso", "head", "left_leg", "right_leg", "left_foot", "right_foot")].any()


def test_expressions_move_no_joint(body: Body) -> None:
    """An expression at full strength moves every regressed joint by less than 0.3 mm."""
    joints = np.einsum("jv,vce->jce", body.J_regressor, body.exprdirs)
    assert np.abs(joints).max() < 3e-4


def test_expressions_stay_on_the_head(body: Body) -> None:
    """Expressions move the head and, at most, the neck under it."""
    moved = np.abs(body.exprdirs).max((1, 2)) > 1e-4
    assert moved.sum() > 1000
    assert not (moved & ~body.part_vertices("head") & (body.weights[:, 12] < 1e-6)).any()


def test_jaw_opens_by_expression_and_by_joint(body: Body) -> None:
    """jawOpen lowers the lower lip by centimetres and leaves the upper lip."""
    jaw = body.exprdirs[:, 1, body.expression_names.index("jawOpen")]
    lower, upper = (
        body.keypoint_column[body.keypoint_row == body.keypoint_names.index(name)] for name in ("face_017", "face_000")
    )
    assert jaw[lower].mean() < -0.02
    assert abs(jaw[upper].mean()) < 0.005


def test_a_blink_closes_the_lids(body: Body) -> None:
    """At eyeBlinkLeft 1 the left upper lid meets the lower one or overlaps it by up to 4 mm; the right eye is open."""
    rows = {n: body.keypoint_names.index(f"face_{n:03d}") for n in (386, 374, 159, 145)}
    regressor = np.zeros((len(body.keypoint_names), len(body.v_template)))
    np.add.at(regressor, (body.keypoint_row, body.keypoint_column), body.keypoint_value)
    blink = body.v_template + body.exprdirs[:, :, body.expression_names.index("eyeBlinkLeft")]
    points = regressor @ blink
    left, right = points[rows[386]] - points[rows[374]], points[rows[159]] - points[rows[145]]
    assert -0.004 < left[1] < 0.0005
    assert right[1] > 0.006


def test_joint_regressor_rows_sum_to_one(body: Body) -> None:
    """Joint regressor rows sum to 1, so a shift of the whole body shifts its joints equally."""
    np.testing.assert_allclose(body.J_regressor.sum(1), 1, atol=2e-4)


def test_people_are_mirror_symmetric_on_average(body: Body, rest_joints: np.ndarray) -> None:
    """The mean body's left and right joints mirror each other within a millimetre."""
    from stages.body.model import JOINT_NAMES

    for row, name in enumerate(JOINT_NAMES):
        if name.startswith("left"):
            other = rest_joints[JOINT_NAMES.index(name.replace("left", "right", 1))]
            np.testing.assert_allclose(rest_joints[row], other * [-1, 1, 1], atol=1e-3)


def test_parts_cover_the_body_symmetrically(body: Body) -> None:
    """Every vertex has a part, and left and right parts have equal numbers of vertices, to 4."""
    assert body.part.min() >= 0
    for name in ("arm", "hand", "leg", "foot"):
        left, right = (int(body.part_vertices(f"{side}_{name}").sum()) for side in ("left", "right"))
        assert left > 200
        assert abs(left - right) <= 4, name
