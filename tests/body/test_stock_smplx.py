"""The body file opened with the unchanged smplx package."""

from __future__ import annotations

import numpy as np
import pytest

from stages.body.model import Body, pose_body, shape_vector, shaped_template
from stages.body.smplx_layout import SELECTED_VERTICES
from stages.body.smplx_package import load_stock_smplx

torch = pytest.importorskip("torch")
FRAMES = 3


def test_smplx_gives_the_same_pose(body: Body) -> None:
    """smplx.SMPLX and pose_body agree to 0.1 mm on vertices and joints for random shapes, expressions and poses."""
    generator = np.random.default_rng(5)
    stock = load_stock_smplx(body.path, body)
    shape = shape_vector(body, generator.normal(size=10), generator.normal(size=40), 1.1, 0.95)
    poses = generator.normal(0, 0.5, (FRAMES, 165)).astype(np.float32)
    transl = generator.normal(size=(FRAMES, 3)).astype(np.float32)
    expression = generator.uniform(0, 0.7, (FRAMES, len(body.expression_names))).astype(np.float32)
    ours = pose_body(body, shaped_template(body, shape), poses, transl, expression, head_scale=1.1)
    theirs = _stock_forward(stock, np.pad(shape, (0, 300 - len(shape))), poses, transl, 1.1 * expression)
    assert np.abs(theirs.vertices.numpy() - ours.vertices).max() < 1e-4
    assert np.abs(theirs.joints.numpy()[:, :55] - ours.joints).max() < 1e-4


def test_smplx_finds_nose_ears_toes_and_fingertips(body: Body) -> None:
    """The vertices whose numbers are built into smplx lie at the places of their names."""
    place = {name: body.v_template[vertex] for name, vertex in SELECTED_VERTICES.items()}
    joints = body.J_regressor @ body.v_template
    head = body.part_vertices("head")
    assert place["nose"][2] == pytest.approx(body.v_template[head, 2].max(), abs=0.004)
    for side, sign in (("l", 1), ("r", -1)):
        assert place[f"{side}ear"][0] * sign > 0.055
        eye = joints[23 if side == "l" else 24]
        assert np.linalg.norm(place[f"{side}eye"] - eye) < 0.025
        hand = body.part_vertices("left_hand" if side == "l" else "right_hand")
        assert place[f"{side}middle"][0] * sign == pytest.approx(np.abs(body.v_template[hand, 0]).max(), abs=1e-4)
        foot = body.part_vertices("left_foot" if side == "l" else "right_foot")
        assert place[f"{side.upper()}Heel"][2] == pytest.approx(body.v_template[foot, 2].min(), abs=0.02)
        assert place[f"{side.upper()}BigToe"][2] > body.v_template[foot, 2].max() - 0.03
        assert place[f"{side.upper()}SmallToe"][0] * sign > place[f"{side.upper()}BigToe"][0] * sign


def test_extra_joints_come_from_those_vertices(body: Body) -> None:
    """Rows 55:76 of smplx's joints are the selected vertices; the 51 + 17 face points follow."""
    stock = load_stock_smplx(body.path, body)
    zero = np.zeros((1, 165), np.float32)
    rest = _stock_forward(stock, np.zeros(300), zero, zero[:, :3], np.zeros((1, len(body.expression_names))))
    joints = rest.joints.detach().numpy()[0]
    assert len(joints) == 144
    np.testing.assert_allclose(joints[55], body.v_template[SELECTED_VERTICES["nose"]], atol=1e-6)
    lips = joints[76 + 31 : 76 + 51]
    mouth = body.v_template[body.sets["lips"]]
    assert (np.linalg.norm(lips[:, None] - mouth[None], axis=-1).min(1) < 0.008).all()


def _stock_forward(stock, betas, poses, transl, expression):
    count = len(poses)

    def tensor(array):
        return torch.as_tensor(np.asarray(array), dtype=torch.float32).reshape(count, -1)

    with torch.no_grad():
        return stock(
            betas=tensor(np.tile(betas, (count, 1))),
            global_orient=tensor(poses[:, :3]),
            body_pose=tensor(poses[:, 3:66]),
            jaw_pose=tensor(poses[:, 66:69]),
            leye_pose=tensor(poses[:, 69:72]),
            reye_pose=tensor(poses[:, 72:75]),
            left_hand_pose=tensor(poses[:, 75:120]),
            right_hand_pose=tensor(poses[:, 120:165]),
            transl=tensor(transl),
            expression=tensor(expression),
        )
