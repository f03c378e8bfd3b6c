"""SMPL-X's skeleton and numbers."""

from __future__ import annotations

import numpy as np

from stages.body.model import JOINT_NAMES, Body
from stages.body.rest_pose import fit_t_pose
from stages.body.rotations import matrix_from_rotvec
from stages.body.smplx_layout import PARENTS, SELECTED_VERTICES, joint_of_bones, renumbering


def test_joint_names_are_those_of_smplx() -> None:
    """The 55 names are the first 55 of smplx's list, in its order."""
    from smplx import joint_names

    ours = [name.replace("_smplhf", "") for name in JOINT_NAMES]
    assert ours == [name.replace("_smplhf", "") for name in joint_names.JOINT_NAMES[:55]]


def test_every_finger_is_linked_to_its_wrist() -> None:
    """Parents come before children, and finger joints are linked as index3 - index2 - index1 - wrist."""
    for row, name in enumerate(JOINT_NAMES[1:], 1):
        assert PARENTS[row] < row
        if name[-1] in "23" and row >= 25:
            assert JOINT_NAMES[PARENTS[row]] == name[:-1] + str(int(name[-1]) - 1)
        elif row >= 25:
            assert JOINT_NAMES[PARENTS[row]] == name.split("_")[0] + "_wrist"


def test_renumbering_is_a_permutation() -> None:
    """Each selected vertex gets its number, even if another selected vertex has it now; no vertex is lost."""
    names = list(SELECTED_VERTICES)
    selected = {name: 11 * row for row, name in enumerate(names)}
    selected[names[0]], selected[names[1]] = SELECTED_VERTICES[names[1]], SELECTED_VERTICES[names[0]]
    order = renumbering(selected, 13_718)
    assert sorted(order) == list(range(13_718))
    assert all(order[SELECTED_VERTICES[name]] == vertex for name, vertex in selected.items())


def test_face_bones_move_with_jaw_or_head() -> None:
    """A lip bone under the jaw moves with the jaw, one under the head with the head."""
    names = ("root", "neck01", "head", "jaw", "special04", "oris02", "special01", "eye.L", "finger3-2.R", "toe1-1.L")
    parents = (-1, 0, 1, 2, 3, 4, 2, 2, 0, 0)
    joints = [JOINT_NAMES[number] for number in joint_of_bones(names, parents)]
    assert joints[2:] == ["head", "jaw", "jaw", "jaw", "head", "left_eye_smplhf", "right_middle2", "left_foot"]


def test_t_pose_is_a_t(body: Body) -> None:
    """At rest shoulders, elbows, wrists and fingers lie on a line along x, palms down, legs downwards."""
    joints = body.J_regressor @ body.v_template
    for side, sign in (("left", 1), ("right", -1)):
        at = {
            name: joints[JOINT_NAMES.index(f"{side}_{name}")]
            for name in ("shoulder", "elbow", "wrist", "middle1", "middle3")
        }
        for first, second in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "middle1"), ("middle1", "middle3")):
            along = at[second] - at[first]
            assert along[0] * sign / np.linalg.norm(along) > 0.9995, (side, first)
        thumb, little = (joints[JOINT_NAMES.index(f"{side}_{name}")] for name in ("thumb3", "pinky3"))
        assert thumb[2] > little[2] + 0.05
        thumb_tip = body.v_template[body.weights[:, JOINT_NAMES.index(f"{side}_thumb3")] > 0.9]
        assert thumb_tip[:, 1].mean() < at["wrist"][1]
        hip, ankle = (joints[JOINT_NAMES.index(f"{side}_{name}")] for name in ("hip", "ankle"))
        assert (hip - ankle)[1] / np.linalg.norm(hip - ankle) > 0.995


def test_a_pose_undoes_the_t_pose(body: Body) -> None:
    """Joints turned to the T-pose and posed by `a_pose` return to their positions."""
    from stages.body.model import joint_transforms

    generator = np.random.default_rng(0)
    rest = (body.J_regressor @ body.v_template).astype(float)
    bent = joint_transforms(
        body.parents, matrix_from_rotvec(generator.normal(0, 0.3, (1, 55, 3))), rest, np.zeros((1, 3))
    )
    joints = np.einsum("jab,jb->ja", bent[0, :, :, :3], rest) + bent[0, :, :, 3]
    t_pose = fit_t_pose(joints, np.eye(55))
    straight = t_pose.joints(joints[None])[0]
    back = joint_transforms(
        body.parents, matrix_from_rotvec(t_pose.a_pose().reshape(1, 55, 3)), straight, np.zeros((1, 3))
    )
    returned = np.einsum("jab,jb->ja", back[0, :, :, :3], straight) + back[0, :, :, 3]
    np.testing.assert_allclose(returned, joints, atol=1e-9)
