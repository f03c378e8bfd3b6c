"""Positions of MediaPipe's 478 face landmarks on a body, found by running the detector on renders of the body.

Steps: render the body, detect landmarks, map them back to the mesh, take the median over views. Detections are
collected as points of one template with open mouth and eyes, which keeps upper and lower lips and lids apart. The first
pass shows a face without lips and brows; each later pass paints lips and brows where the previous pass found them. No
landmark data is shipped: MediaPipe's wheel contains the detector, not the geometry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from stages.body.camera import project
from stages.body.face_paint import FacePaint, paint_face
from stages.body.model import JOINT_NAMES, Body, pose_body
from stages.body.rotations import matrix_from_rotvec
from stages.body.surface import closest_on_surface
from stages.networks.face import find_mesh
from stages.networks.face_points import GROUPS
from stages.networks.opened import Networks
from stages.progress import Progress, silent
from stages.raster.rasterizer import Fragments, Rasterizer

SIZE_PX = 512
DISTANCE_M = 1.0
FIELD_M = 0.30
VIEWS = 50
PASSES = 3
COUNT = 478
LEAST_FACE_SCORE = 0.3
"""Least score of a face in a render."""
IRISES = tuple(range(468, 478))
FACING = 0.25
"""A detection counts when the cosine between surface normal and camera direction is at least this."""
JAW_RAD, LIDS_BACK = 0.6, 0.3
"""Substitutes for jawOpen 1 and eyeWide 1 in a body without these expressions: jaw angle, negative share of a blink."""
OVAL_YAW = np.radians(8)
"""Points of the face's outline slide with the view; views turned more than this do not count for them."""


Detect = Callable[[np.ndarray], "np.ndarray | None"]
"""A square RGB picture -> pixels of the landmarks (478, 2), or None if no face is found."""


@dataclass(frozen=True)
class Embedding:
    """Points on a mesh, in landmark order: one triangle and three weights per point."""

    face: Int[np.ndarray, "landmarks"]
    barycentric: Float[np.ndarray, "landmarks 3"]

    def points(self, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> np.ndarray:
        """Positions of the landmarks on a mesh, (landmarks, 3)."""
        return np.einsum("lk,lkc->lc", self.barycentric, vertices[faces[self.face]])


@dataclass(frozen=True)
class View:
    """One view of a face: its vertices in the camera frame (metres) and its yaw (radians)."""

    vertices: Float[np.ndarray, "vertices 3"]
    yaw: float


def embed_face(body: Body, rasterizer: Rasterizer, progress: Progress = silent, seed: int = 0) -> Embedding:
    """Landmarks of `body`, from VIEWS random views of random heads in each of PASSES passes.

    Raises RuntimeError when MediaPipe finds a face in too few views.
    """
    template = open_template(body)
    paint = FacePaint.without_lips_and_brows(body)
    views = list(random_views(body, np.random.default_rng(seed)))
    embedding = None
    detect = face_mesh()
    for turn in range(PASSES):
        hits = np.full((len(views), COUNT, 3), np.nan)
        for row, view in enumerate(views):
            progress("finding the face's landmarks", turn * VIEWS + row, PASSES * VIEWS)
            hits[row] = detect_on_template(body, view, paint, rasterizer, detect, template)
        embedding = embedding_from_views(body, template, hits)
        paint = FacePaint.from_landmarks(body, template, embedding.points(template, body.faces))
    progress("finding the face's landmarks", PASSES * VIEWS, PASSES * VIEWS)
    assert embedding is not None
    return embedding


def open_template(body: Body) -> Float[np.ndarray, "vertices 3"]:
    """The mean rest pose with mouth and eyes open, on which detections of all views are compared."""
    return open_mouth_and_eyes(body, body.v_template, 0.35, 0.5)


def open_mouth_and_eyes(
    body: Body, vertices: Float[np.ndarray, "vertices 3"], jaw_open: float, eyes_wide: float
) -> Float[np.ndarray, "vertices 3"]:
    """Rest vertices with mouth and eyes opened; by jaw joint and eyelids in a body without jawOpen and eyeWide."""
    if "jawOpen" in body.expression_names:
        weights = {"jawOpen": jaw_open, "eyeWideLeft": eyes_wide, "eyeWideRight": eyes_wide}
        return vertices + body.exprdirs @ _expression(body, weights)
    blink = [name for name in body.expression_names if name.startswith("eyeBlink")]
    expression = _expression(body, dict.fromkeys(blink, -LIDS_BACK * eyes_wide))
    poses = np.zeros((1, 165), np.float32)
    poses[0, 3 * JOINT_NAMES.index("jaw")] = JAW_RAD * jaw_open
    return pose_body(body, vertices.astype(np.float32), poses, np.zeros((1, 3), np.float32), expression[None]).vertices[
        0
    ]


def random_views(body: Body, generator: np.random.Generator) -> Iterator[View]:
    """VIEWS faces that differ in head shape, mouth, lids and camera direction; every fifth is almost frontal."""
    shape = np.zeros(body.shapedirs.shape[2], np.float32)
    eyes = body.J_regressor[23:25] @ body.v_template
    for number in range(VIEWS):
        yaw, pitch = generator.uniform(-1, 1, 2) * np.radians([30, 12]) * (0.2 if number % 5 == 0 else 1.0)
        shape[body.num_betas : body.num_betas + 20] = generator.normal(0, 0.7, 20)
        wide = float(generator.uniform(0, 0.7))
        vertices = open_mouth_and_eyes(
            body, body.v_template + body.shapedirs @ shape, (0.0, 0.2, 0.35)[number % 3], wide
        )
        centre = eyes.mean(0) + np.array([0, -0.02, 0])
        yield View(_in_front_of_camera(vertices - centre, float(yaw), float(pitch)), float(yaw))


def detect_on_template(
    body: Body, view: View, paint: FacePaint, rasterizer: Rasterizer, detect: Detect, template: np.ndarray
) -> Float[np.ndarray, "landmarks 3"]:
    """Detect the landmarks of one view and map them to the template; nan where they are not reliable."""
    screen, fragments, normals, picture = render_view(body, view, paint, rasterizer)
    pixels = detect(picture)
    if pixels is None:
        return np.full((COUNT, 3), np.nan)
    column, row = np.clip(np.floor(pixels).astype(int), 0, SIZE_PX - 1).T
    eye_faces = np.flatnonzero(_eyeballs(body)[body.faces].all(1))
    eyes = rasterizer(screen, body.faces[eye_faces], SIZE_PX, SIZE_PX)  # irises continue under the lids
    iris = np.isin(np.arange(COUNT), IRISES)
    face = np.where(iris, eye_faces[eyes.face[row, column]], fragments.face[row, column])
    missed = np.where(iris, eyes.face[row, column], face) < 0
    weights = np.where(iris[:, None], eyes.barycentric[row, column], fragments.barycentric[row, column])
    corners = body.faces[face]
    points = np.einsum("lk,lkc->lc", weights, template[corners])
    facing = np.einsum("lk,lk->l", weights, -normals[corners][..., 2]) > FACING
    oval = np.isin(np.arange(COUNT), sorted(GROUPS["FACE_OVAL"]))
    trusted = ~missed & np.where(oval, abs(view.yaw) < OVAL_YAW, facing) & (iris | _skin(body)[corners].all(1))
    points[~trusted] = np.nan
    return points


def render_view(
    body: Body, view: View, paint: FacePaint, rasterizer: Rasterizer
) -> tuple[Float[np.ndarray, "vertices 3"], Fragments, Float[np.ndarray, "vertices 3"], np.ndarray]:
    """Vertices in pixels, fragments, vertex normals (camera frame) and the RGB picture of a view."""
    focal = SIZE_PX * DISTANCE_M / FIELD_M
    K = np.array([[focal, 0, SIZE_PX / 2], [0, focal, SIZE_PX / 2], [0, 0, 1]], np.float32)
    screen = project(view.vertices, K).astype(np.float32)
    fragments = rasterizer(screen, body.faces, SIZE_PX, SIZE_PX)
    normals, picture = paint_face(body, view.vertices, paint, fragments)
    return screen, fragments, normals, picture


def embedding_from_views(body: Body, template: np.ndarray, hits: Float[np.ndarray, "views landmarks 3"]) -> Embedding:
    """The median over views, made mirror symmetric and moved to the nearest point of the surface.

    Raises RuntimeError when a landmark was found in fewer than 3 views.
    """
    counts = np.isfinite(hits[..., 0]).sum(0)
    if counts.min() < 3:
        raise RuntimeError(f"landmark {int(counts.argmin())} was seen in {int(counts.min())} of {len(hits)} views")
    middle = np.nanmedian(hits, 0)
    middle = _symmetric(middle)
    face, barycentric = np.zeros(COUNT, np.int64), np.zeros((COUNT, 3))
    iris = np.isin(np.arange(COUNT), IRISES)
    for chosen, surface in ((iris, _eyeballs(body)), (~iris, _skin(body))):
        allowed = np.flatnonzero(surface[body.faces].all(1))
        near, barycentric[chosen] = closest_on_surface(middle[chosen], template, body.faces[allowed])
        face[chosen] = allowed[near]
    return Embedding(face, barycentric)


def face_mesh() -> Detect:
    """MediaPipe's face mesh with the attention model (irises, better lips): a function from pictures to landmarks."""
    networks = Networks()

    def detect(picture: UInt8[np.ndarray, "size size 3"]) -> Float[np.ndarray, "landmarks 2"] | None:
        mesh = find_mesh(picture, networks, LEAST_FACE_SCORE)
        return None if mesh is None else mesh[:, :2]

    return detect


def landmark_sigmas() -> Float[np.ndarray, "landmarks"]:
    """Sigmas in metres: small for lips, lids and irises; large for the face's outline, which slides with the view."""
    sigma = np.full(COUNT, 0.0038)
    for name in ("LIPS", "LEFT_EYE", "RIGHT_EYE", "LEFT_IRIS", "RIGHT_IRIS"):
        sigma[sorted(GROUPS[name])] = 0.0023
    sigma[[468, 473]] = 0.0023
    sigma[sorted(GROUPS["FACE_OVAL"])] = 0.009
    return sigma


def _symmetric(points: Float[np.ndarray, "landmarks 3"]) -> Float[np.ndarray, "landmarks 3"]:
    """The mean of the points and their mirror image, paired by least total distance."""
    from scipy.optimize import linear_sum_assignment

    mirrored = points * [-1, 1, 1]
    cost = np.linalg.norm(points[:, None] - mirrored[None], axis=-1)
    _, partner = linear_sum_assignment(cost)
    return (points + mirrored[partner]) / 2


def _in_front_of_camera(points: np.ndarray, yaw: float, pitch: float) -> Float[np.ndarray, "vertices 3"]:
    """Points about the origin (y up, facing +z), turned and placed DISTANCE_M in front of an OpenCV camera."""
    turned = points @ (matrix_from_rotvec(np.array([pitch, 0.0, 0])) @ matrix_from_rotvec(np.array([0.0, yaw, 0]))).T
    return (turned * [1, -1, -1] + [0, 0, DISTANCE_M]).astype(np.float32)


def _expression(body: Body, weights: dict[str, float]) -> Float[np.ndarray, "expression"]:
    vector = np.zeros(len(body.expression_names), np.float32)
    for name, value in weights.items():
        vector[body.expression_names.index(name)] = value
    return vector


def _eyeballs(body: Body) -> np.ndarray:
    return body.sets["left_eyeball"] | body.sets["right_eyeball"]


def _skin(body: Body) -> np.ndarray:
    """The outer skin of the head and neck."""
    names = ("left_eyeball", "right_eyeball", "left_eye_socket", "right_eye_socket", "mouth_cavity", "tongue", "teeth")
    return ~np.any([body.sets[name] for name in names], 0)
