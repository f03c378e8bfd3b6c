"""From a photo and the body fitted to it to a puppet."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.detect.matte import person_matte
from stages.errors import InputError
from stages.generate.puppet.background import clean_plate
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.face import build_face
from stages.generate.puppet.layers import build_layer
from stages.generate.puppet.matte import dilate, person_alpha, solid_colours, unmix
from stages.generate.puppet.parts import LAYERS, label_pixels
from stages.generate.puppet.render import Puppet
from stages.generate.puppet.texture import paint_mesh, shown_parts
from stages.generate.puppet.view import View, make_rig, make_view
from stages.progress import Progress, silent

STEPS = 6


def result_size(width: int, height: int, longer: int) -> tuple[int, int]:
    """Width and height of a result with the given longer side, both even."""
    scale = longer / max(width, height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def build_puppet(
    photo: UInt8[np.ndarray, "height width 3"],
    reference: Motion,
    body: Body,
    landmarks: Float[np.ndarray, "478 2"] | None,
    config: PuppetConfig,
    progress: Progress = silent,
) -> Puppet:
    """landmarks: the photo's detected face, photo pixels, or None. Raises InputError for a body outside it."""
    size = result_size(photo.shape[1], photo.shape[0], config.size)
    drawn = round(size[0] * config.supersample), round(size[1] * config.supersample)
    rig = make_rig(body, reference)
    view = make_view(photo, reference, rig, drawn)
    if not (view.fragments.face >= 0).any():
        raise InputError("the body fitted to the photo lies outside it; track the photo again")
    progress("preparing the photo", 1, STEPS)
    alpha = view_alpha(view)
    progress("preparing the photo", 2, STEPS)
    solid = solid_colours(view.photo, alpha, max(1.5, 0.35 * view.centimetre_px))
    hole = dilate(alpha > 0.02, max(3.0, 1.2 * view.centimetre_px))
    plate = clean_plate(view.crop(view.photo), view.crop(hole), max(4.0, 3.0 * view.centimetre_px))
    colours = unmix(view.photo, alpha, view.strip(plate), solid)
    progress("preparing the photo", 3, STEPS)
    labels = label_pixels(view, alpha)
    hands = bool(reference.valid_part("left_hand")[0]), bool(reference.valid_part("right_hand")[0])
    paint = paint_mesh(view, solid, alpha, labels, shown_parts(view, alpha, hands))
    progress("preparing the photo", 4, STEPS)
    layers = [
        layer
        for name in LAYERS
        if not name.endswith("hand")
        and (layer := build_layer(view, name, alpha, labels, colours, config.grid_step)) is not None
    ]
    progress("preparing the photo", 5, STEPS)
    face = build_face(view, paint, solid, canvas_landmarks(view, landmarks, photo))
    progress("preparing the photo", 6, STEPS)
    inner = np.zeros(len(rig.template), bool)
    for name in ("mouth_cavity", "tongue", "left_eye_socket", "right_eye_socket", "left_eyeball", "right_eyeball"):
        inner |= body.sets[name]
    underlay = np.ascontiguousarray(body.faces[~inner[body.faces].any(1)], np.int32)
    backdrop = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
    person = cv2.resize(view.crop(alpha), size, interpolation=cv2.INTER_AREA)
    return Puppet(rig, underlay, paint, solid, layers, face, backdrop, person, drawn, float(view.K[0, 0]))


def view_alpha(view: View) -> Float[np.ndarray, "height width"]:
    """The person's matte over the canvas, mirrored into its strips."""
    photo, mesh = view.crop(view.photo), view.crop(view.fragments.face) >= 0
    x, y = view.points[:, 0] - view.offset[0], view.points[:, 1] - view.offset[1]
    inside = (x >= 0) & (y >= 0) & (x < view.size[0]) & (y < view.size[1])
    box = None
    if inside.sum() > 50:
        box = np.array([x[inside].min(), y[inside].min(), x[inside].max(), y[inside].max()])
    guess = person_matte(np.ascontiguousarray(photo), box)
    lower = view.rig.body.part_vertices("left_leg", "right_leg", "left_foot", "right_foot")
    faces = lower[view.rig.body.faces].all(1)
    covering = view.crop(view.fragments.face)
    certain = np.where(covering >= 0, faces[covering], False)
    alpha = person_alpha(photo, guess, mesh, certain, view.centimetre_px)
    return view.strip(alpha)


def canvas_landmarks(view: View, landmarks: np.ndarray | None, photo: np.ndarray) -> np.ndarray | None:
    """Photo pixels to canvas pixels."""
    if landmarks is None or not np.isfinite(landmarks).all():
        return None
    scale = np.array([view.size[0] / photo.shape[1], view.size[1] / photo.shape[0]])
    return (landmarks[:, :2] * scale + view.offset).astype(np.float32)
