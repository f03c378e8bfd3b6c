"""From a photo and the body fitted to it to a puppet."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.detect.matte import person_matte
from stages.errors import InputError
from stages.generate.puppet.background import Backdrop, clean_plate
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.face import build_face, open_holes, snap_to_landmarks
from stages.generate.puppet.framing import result_size
from stages.generate.puppet.girth import fit_girth
from stages.generate.puppet.hands import WRIST
from stages.generate.puppet.layers import build_layer
from stages.generate.puppet.matte import dilate, erode, person_alpha, solid_colours, unmix
from stages.generate.puppet.parts import LAYERS, label_pixels
from stages.generate.puppet.render import Puppet
from stages.generate.puppet.texture import paint_mesh, shown_parts
from stages.generate.puppet.view import View, make_rig, make_view, resize_photo
from stages.progress import Progress, silent

STEPS = 6


def build_puppet(
    photo: UInt8[np.ndarray, "height width 3"],
    reference: Motion,
    body: Body,
    landmarks: Float[np.ndarray, "478 2"] | None,
    config: PuppetConfig,
    progress: Progress = silent,
    moving: frozenset[str] = frozenset(),
) -> Puppet:
    """The puppet of the person in `photo`.

    landmarks: the photo's detected face, photo pixels, or None. moving: the LAYERS that will leave their place.
    Raises InputError where the fitted body lies outside the photo.
    """
    size = result_size(photo.shape[1], photo.shape[0], config.size)
    drawn = round(size[0] * config.supersample), round(size[1] * config.supersample)
    rig = make_rig(body, reference)
    view = make_view(photo, reference, rig, drawn)
    if not (view.fragments.face >= 0).any():
        raise InputError("the body fitted to the photo lies outside it; track the photo again")
    points = canvas_landmarks(view, landmarks, photo)
    if points is not None:
        snap_to_landmarks(view, points)
    progress("preparing the photo", 1, STEPS)
    hands = bool(reference.valid_part("left_hand")[0]), bool(reference.valid_part("right_hand")[0])
    apart = hands[0] or "left_arm" in moving, hands[1] or "right_arm" in moving
    alpha = view_alpha(view)
    if config.fit_girth:
        fit_girth(view, alpha, label_pixels(view, alpha, apart))
    progress("preparing the photo", 2, STEPS)
    solid = solid_colours(view.photo, alpha, max(1.5, 0.35 * view.centimetre_px))
    hole = dilate(alpha > 0.02, max(5.0, 1.2 * view.centimetre_px))
    plate = clean_plate(view.crop(view.photo), view.crop(hole), max(4.0, 3.0 * view.centimetre_px))
    colours = unmix(view.photo, alpha, view.strip(plate), solid)
    progress("preparing the photo", 3, STEPS)
    labels = label_pixels(view, alpha, apart)
    paint = paint_mesh(view, solid, alpha, labels, shown_parts(view, alpha, hands))
    progress("preparing the photo", 4, STEPS)
    layers = [
        layer
        for name in LAYERS
        if (layer := build_layer(view, name, alpha, labels, colours, config.grid_step, moving)) is not None
    ]
    progress("preparing the photo", 5, STEPS)
    face = build_face(view, paint, solid, points)
    for layer in layers:
        if layer.name == "head":
            open_holes(view, layer)
    progress("preparing the photo", 6, STEPS)
    underlay, meshes = body_triangles(body)
    backdrop = make_backdrop(photo, view, plate, hole, alpha, size)
    return Puppet(
        rig,
        underlay,
        meshes,
        refuted(view, alpha),
        view.transforms,
        paint,
        solid,
        layers,
        face,
        backdrop,
        drawn,
        float(view.K[0, 0]),
    )


def body_triangles(body: Body) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The mesh's triangles without what lies inside the head and without the hands, and those of each hand."""
    inner = np.zeros(len(body.v_template), bool)
    for name in ("mouth_cavity", "tongue", "left_eye_socket", "right_eye_socket", "left_eyeball", "right_eyeball"):
        inner |= body.sets[name]
    hands = {name: body.part_vertices(name)[body.faces].all(1) for name in WRIST}
    rest = ~inner[body.faces].any(1) & ~hands["left_hand"] & ~hands["right_hand"]
    triangles = body.faces.astype(np.int32)
    return np.ascontiguousarray(triangles[rest]), {name: triangles[mask] for name, mask in hands.items()}


def refuted(view: View, alpha: np.ndarray) -> Bool[np.ndarray, "vertices"]:
    """Vertices that project into the photo but clearly outside the matte, even after the girth was fitted."""
    person = dilate(alpha > 0.3, max(2.0, 0.8 * view.centimetre_px))
    height, width = alpha.shape
    x, y = view.points[:, 0].astype(int), view.points[:, 1].astype(int)
    framed = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return framed & ~person[y.clip(0, height - 1), x.clip(0, width - 1)]


def view_alpha(view: View) -> Float[np.ndarray, "height width"]:
    """The person's matte over the canvas, mirrored into its strips."""
    photo, mesh = view.crop(view.photo), view.crop(view.fragments.face) >= 0
    x, y = view.points[:, 0] - view.offset[0], view.points[:, 1] - view.offset[1]
    inside = (x >= 0) & (y >= 0) & (x < view.size[0]) & (y < view.size[1])
    box = None
    if inside.sum() > 50:
        box = np.array([x[inside].min(), y[inside].min(), x[inside].max(), y[inside].max()])
    guess = person_matte(np.ascontiguousarray(photo), box)
    legs, feet = (covered_by(view, *(f"{side}_{part}" for side in ("left", "right"))) for part in ("leg", "foot"))
    certain = erode(legs, 1.5 * view.centimetre_px) | feet
    alpha = person_alpha(photo, guess, mesh, certain, view.centimetre_px)
    return view.strip(alpha)


def covered_by(view: View, *parts: str) -> Bool[np.ndarray, "height width"]:
    """Pixels of the photo where the fitted mesh shows one of these parts."""
    faces = view.rig.body.part_vertices(*parts)[view.rig.body.faces].all(1)
    covering = view.crop(view.fragments.face)
    return np.where(covering >= 0, faces[covering], False)


def canvas_landmarks(view: View, landmarks: np.ndarray | None, photo: np.ndarray) -> np.ndarray | None:
    """Photo pixels to canvas pixels."""
    if landmarks is None or not np.isfinite(landmarks).all():
        return None
    scale = np.array([view.size[0] / photo.shape[1], view.size[1] / photo.shape[0]])
    return (landmarks[:, :2] * scale + view.offset).astype(np.float32)


def make_backdrop(
    photo: np.ndarray, view: View, plate: np.ndarray, hole: np.ndarray, alpha: np.ndarray, size: tuple[int, int]
) -> Backdrop:
    """The background at the result's size; outside the hole it is the photo, resampled once."""
    sharp = resize_photo(photo, size)
    filled = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(view.crop(hole).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    plate = np.where(share[..., None] > 0, filled, sharp)
    return Backdrop(sharp, plate, cv2.resize(view.crop(alpha), size, interpolation=cv2.INTER_AREA))
