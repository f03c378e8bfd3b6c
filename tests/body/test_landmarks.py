"""Face and hand keypoints compared with the detector, on pictures that were not used to place the keypoints."""

from __future__ import annotations

import numpy as np
import pytest

from stages.artifacts.npz import read_npz
from stages.body.camera import project
from stages.body.face_paint import LIPS_INSIDE, LIPS_OUTSIDE, FacePaint, paint_face
from stages.body.landmarks import COUNT, SIZE_PX, face_mesh, random_views, render_view
from stages.body.model import Body, keypoints_from, pose_body, shape_vector, shaped_template
from stages.body.rotations import matrix_from_rotvec
from stages.networks.face_points import GROUPS
from stages.networks.hand import find_hands
from stages.networks.opened import Networks
from stages.raster.rasterizer import rasterizer


@pytest.fixture(scope="module")
def face(body: Body) -> np.ndarray:
    """The 478 landmarks on the mean body at rest."""
    return regressed(body, body.v_template)[:COUNT]


def regressed(body: Body, vertices: np.ndarray) -> np.ndarray:
    points = np.zeros((len(body.keypoint_names), 3))
    np.add.at(points, body.keypoint_row, vertices[body.keypoint_column] * body.keypoint_value[:, None])
    return points


def test_landmarks_mirror(face: np.ndarray) -> None:
    """The mirror image of every landmark is a landmark, to 1 mm."""
    distance = np.linalg.norm((face * [-1, 1, 1])[:, None] - face[None], axis=-1)
    assert distance.min(1).max() < 1e-3


def test_left_is_the_persons_left(face: np.ndarray) -> None:
    """MediaPipe's left eye, brow and iris lie at positive x, its right ones at negative x."""
    for name in ("EYE", "EYEBROW", "IRIS"):
        assert face[sorted(GROUPS[f"LEFT_{name}"]), 0].min() > 0.01
        assert face[sorted(GROUPS[f"RIGHT_{name}"]), 0].max() < -0.01


def test_irises_lie_on_the_eyeballs(body: Body) -> None:
    """Iris landmarks use eyeball vertices only; no other landmark uses one."""
    on_eye = body.sets["left_eyeball"] | body.sets["right_eyeball"]
    for number in range(COUNT):
        columns = body.keypoint_column[body.keypoint_row == number]
        assert on_eye[columns].all() == (number >= 468)
        assert on_eye[columns].any() == (number >= 468)


def test_lips_part(body: Body) -> None:
    """As the jaw opens, inner upper and lower lip landmarks part; the inner contour stays inside the outer one."""
    open_mouth = body.v_template + body.exprdirs[:, :, body.expression_names.index("jawOpen")] * 0.6
    before, after = regressed(body, body.v_template), regressed(body, open_mouth)
    gap = [points[13, 1] - points[14, 1] for points in (before, after)]
    assert gap[0] < 0.004
    assert gap[1] > 0.015
    inner, outer = after[list(LIPS_INSIDE)], after[list(LIPS_OUTSIDE)]
    assert inner[:, 1].max() < outer[:, 1].max()
    assert inner[:, 1].min() > outer[:, 1].min()


def test_embedding_file_layout_agrees_with_the_keypoints(body: Body, face: np.ndarray) -> None:
    """`lmk_face_idx`, `lmk_b_coords` and `landmark_indices` name the same points in the community's layout."""
    arrays = read_npz(body.path)
    corners = body.v_template[body.faces[arrays["lmk_face_idx"]]]
    points = np.einsum("lk,lkc->lc", arrays["lmk_b_coords"], corners)
    np.testing.assert_allclose(points, face[arrays["landmark_indices"]], atol=1e-6)


def test_face_mesh_agrees_on_unseen_faces(body: Body, face: np.ndarray) -> None:
    """On eight new faces and views, the median error against FaceMesh is 3 mm; 2 mm for lips, eyes and irises."""
    paint = FacePaint.from_landmarks(body, body.v_template, face)
    errors = []
    detect = face_mesh()
    for view in list(random_views(body, np.random.default_rng(77)))[:8]:
        screen, _, _, picture = render_view(body, view, paint, rasterizer())
        seen = detect(picture)
        assert seen is not None
        metres_per_pixel = 0.30 / SIZE_PX
        errors.append(np.linalg.norm(regressed(body, screen)[:COUNT, :2] - seen, axis=1) * metres_per_pixel)
    middle = np.median(errors, 0)
    assert np.median(middle) < 3e-3
    for name in ("LIPS", "LEFT_EYE", "RIGHT_EYE", "LEFT_IRIS", "RIGHT_IRIS"):
        assert np.median(middle[sorted(GROUPS[name])]) < 2e-3, name


def test_hand_detector_agrees_on_unseen_hands(body: Body) -> None:
    """On twelve renders of new hands, the median error against MediaPipe's hand points is below 5 mm."""
    generator = np.random.default_rng(99)
    rows = [body.keypoint_names.index(f"left_hand_{number:02d}") for number in range(21)]
    paint = FacePaint.without_lips_and_brows(body)
    errors = []
    networks = Networks()
    for number in range(12):
        template = shaped_template(body, shape_vector(body, generator.normal(size=10), np.zeros(0), 1.0, 1.0))
        posed = pose_body(body, template, _loose_hand(generator), np.zeros((1, 3)), np.zeros((1, 52)))
        points = keypoints_from(body, template, posed)[0, rows]
        tilt = (np.pi / 2 if number % 2 else -np.pi / 2) + generator.uniform(-0.3, 0.3)
        turn = matrix_from_rotvec(np.array([tilt, 0, 0]))
        picture, screen = _hand_picture(body, posed.vertices[0], points, turn, paint)
        found = find_hands(picture, networks, 0.3)
        if found:
            errors.append(np.linalg.norm(screen - found[0].points[:, :2], axis=1) * 0.4 / len(picture))
    assert len(errors) >= 10
    assert np.median(errors, 0).max() < 7e-3
    assert np.median(errors) < 5e-3


def _loose_hand(generator: np.random.Generator) -> np.ndarray:
    """A pose with fingers of the left hand a little bent."""
    poses = np.zeros((55, 3), np.float32)
    poses[25:37, 2] = -np.abs(generator.normal(0, 0.25, 12))
    return poses.reshape(1, 165)


def _hand_picture(body, vertices, points, turn, paint):
    """A 480 px picture 0.4 m wide around the hand's points, and their pixels."""
    K = np.array([[960, 0, 240], [0, 960, 240], [0, 0, 1]], np.float32)
    centre = points.mean(0)

    def to_camera(some: np.ndarray) -> np.ndarray:
        return ((some - centre) @ turn.T * [1, -1, -1] + [0, 0, 0.8]).astype(np.float32)

    seen = to_camera(vertices)
    fragments = rasterizer()(project(seen, K).astype(np.float32), body.faces, 480, 480)
    return paint_face(body, seen, paint, fragments)[1], project(to_camera(points), K)[:, :2]
