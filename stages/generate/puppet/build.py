"""Build a puppet from a photo and the body fitted to it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.detect.matte import person_matte
from stages.errors import InputError
from stages.generate.puppet.background import Backdrop, fill_hole
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.crossed import crossing_arms, label_crossed, own_colours
from stages.generate.puppet.face import build_face, cut_mouth_and_eyes, face_area, shrink_cavity, snap_to_landmarks
from stages.generate.puppet.framing import drawn_size, result_size
from stages.generate.puppet.girth import fit_girth
from stages.generate.puppet.hair import hanging_hair
from stages.generate.puppet.hands import WRIST
from stages.generate.puppet.layers import build_layer
from stages.generate.puppet.loose import thin_things
from stages.generate.puppet.matte import foreground_colours, person_alpha, solid_colours
from stages.generate.puppet.others import other_people
from stages.generate.puppet.parts import LAYERS, label_pixels, pixels_of_parts
from stages.generate.puppet.render import Puppet
from stages.generate.puppet.texture import paint_mesh, visible_layers
from stages.generate.puppet.view import View, make_rig, make_view, resize_photo
from stages.progress import Progress, silent
from stages.raster.masks import dilate, erode, keep_touching

STEPS = 6
HAIR_GUESS, HAIR_CM = 0.6, 14.0
"""Around the head, up to this far, a pixel is the person's from this share of person: a bun is thin and dark. With 0.4
a fence behind a small head was taken along (d7, the face 15.5 dB instead of 19)."""
CLOTH_CM = 5.0
"""Beside the photo, where its mirror image continues it, the person reaches at most this far from the fitted body: a
mirrored head is no second head."""
OTHER_PERSON = 0.3
"""Share of person from which a pixel is not copied into the background."""
STEP_SIDE = 768
"""Longer side of the drawn picture for which `PuppetConfig.grid_step` is given."""


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

    landmarks: detected face landmarks in photo pixels, or None. moving: the LAYERS that will leave their place.
    Raises InputError when the fitted body lies outside the photo.
    """
    size = result_size(photo.shape[1], photo.shape[0], min(config.size, max(photo.shape[:2])))
    drawn = drawn_size(size, config.supersample)
    step = round(config.grid_step * max(1.0, max(drawn) / STEP_SIDE))
    rig = make_rig(body, reference)
    view = make_view(photo, reference, rig, drawn)
    if not (view.fragments.face >= 0).any():
        raise InputError("the body fitted to the photo lies outside it; track the photo again")
    points = landmarks_on_canvas(view, landmarks, photo)
    if points is not None:
        snap_to_landmarks(view, points)
    shrink_cavity(view)
    progress("preparing the photo", 1, STEPS)
    hands = bool(reference.valid_part("left_hand")[0]), bool(reference.valid_part("right_hand")[0])
    oval = face_area(view, points)
    separate_hands = hands[0] or "left_arm" in moving, hands[1] or "right_arm" in moving
    alpha = canvas_matte(view, oval)
    crossing = crossing_arms(view, alpha, oval, moving, hands)
    if config.fit_girth:
        fit_girth(view, alpha, label_parts(view, alpha, separate_hands, oval, crossing)[0], crossing)
    progress("preparing the photo", 2, STEPS)
    solid = solid_colours(view.photo, alpha, max(1.5, 0.35 * view.centimetre_px))
    thin = thin_things(view.crop(view.photo), view.crop(alpha), view.centimetre_px)
    thin = view.extend(thin.astype(np.uint8)) > 0
    hole = dilate(alpha > 0.02, max(5.0, 1.2 * view.centimetre_px)) | dilate(thin, max(2.0, 0.4 * view.centimetre_px))
    plate = fill_hole(view.crop(view.photo), view.crop(hole), person_matte(view.crop(view.photo)) < OTHER_PERSON)
    colours = foreground_colours(view.photo, alpha, view.extend(plate), solid)
    progress("preparing the photo", 3, STEPS)
    labels, hair = label_parts(view, alpha, separate_hands, oval, crossing)
    paint = paint_mesh(view, solid, alpha, labels, visible_layers(view, alpha, hands), points)
    progress("preparing the photo", 4, STEPS)
    layers = [
        layer
        for name in LAYERS
        if (layer := build_layer(view, name, alpha, labels, colours, step, moving, oval, hair, crossing)) is not None
    ]
    progress("preparing the photo", 5, STEPS)
    face = build_face(view, paint, solid, points)
    for layer in layers:
        if layer.name == "head":
            cut_mouth_and_eyes(view, layer)
    progress("preparing the photo", 6, STEPS)
    underlay, meshes = body_triangles(body)
    arms = {name: body.faces[body.part_vertices(name)[body.faces].any(1)].astype(np.int32) for name in sorted(crossing)}
    own = {kind: own_colours(view, solid, alpha, labels, kind) for kind in ("arm", "hand") if crossing}
    backdrop = make_backdrop(photo, view, plate, hole, np.where(thin, 1.0, alpha), size)
    return Puppet(
        rig,
        underlay,
        meshes,
        arms,
        outside_matte(view, alpha),
        view.transforms,
        paint,
        solid,
        {arm.replace("arm", kind): own[kind] for arm in arms for kind in own},
        layers,
        face,
        backdrop,
        drawn,
        float(view.K[0, 0]),
    )


def label_parts(
    view: View,
    alpha: np.ndarray,
    hands: tuple[bool, bool],
    face: np.ndarray,
    crossing: frozenset[str] = frozenset(),
) -> tuple[Int[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """The part of every pixel, as `label_pixels`, and the hair that hangs over other parts and belongs to the head."""
    labels = label_pixels(view, alpha, hands, face)
    if crossing:
        labels = label_crossed(view, alpha, labels, crossing, face)
    hair = hanging_hair(view, alpha, labels, face)
    return np.where(hair, list(LAYERS).index("head"), labels), hair


def body_triangles(body: Body) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Triangles of the mesh without the inside of the head and the hands, and the triangles of each hand."""
    inner = np.zeros(len(body.v_template), bool)
    for name in ("mouth_cavity", "tongue", "left_eye_socket", "right_eye_socket", "left_eyeball", "right_eyeball"):
        inner |= body.sets[name]
    hands = {name: body.part_vertices(name)[body.faces].all(1) for name in WRIST}
    rest = ~inner[body.faces].any(1) & ~hands["left_hand"] & ~hands["right_hand"]
    triangles = body.faces.astype(np.int32)
    return np.ascontiguousarray(triangles[rest]), {name: triangles[mask] for name, mask in hands.items()}


def outside_matte(view: View, alpha: np.ndarray) -> Bool[np.ndarray, "vertices"]:
    """Mask of vertices that project into the photo but clearly outside the matte."""
    person = dilate(alpha > 0.3, max(2.0, 0.8 * view.centimetre_px))
    height, width = alpha.shape
    x, y = view.points[:, 0].astype(int), view.points[:, 1].astype(int)
    framed = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return framed & ~person[y.clip(0, height - 1), x.clip(0, width - 1)]


def canvas_matte(view: View, face: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """The person's matte on the canvas; its border strips are mirrored. face: pixels of the face in the photo."""
    photo, mesh = view.crop(view.photo), view.crop(view.fragments.face) >= 0
    x, y = view.points[:, 0] - view.offset[0], view.points[:, 1] - view.offset[1]
    inside = (x >= 0) & (y >= 0) & (x < view.size[0]) & (y < view.size[1])
    box = None
    if inside.sum() > 50:
        box = np.array([x[inside].min(), y[inside].min(), x[inside].max(), y[inside].max()])
    head = pixels_of_parts(view, "head")
    others = other_people(photo, mesh, head)
    guess = np.where(others, 0.0, person_matte(np.ascontiguousarray(photo), box)).astype(np.float32)
    legs, feet = (pixels_of_parts(view, *(f"{side}_{part}" for side in ("left", "right"))) for part in ("leg", "foot"))
    certain = erode(legs, 1.5 * view.centimetre_px) | feet | view.crop(face)
    certain |= (guess > HAIR_GUESS) & dilate(head, HAIR_CM * view.centimetre_px) & ~dilate(head, 0.0)
    alpha = np.where(others, 0.0, person_alpha(photo, guess, mesh, certain, view.centimetre_px)).astype(np.float32)
    alpha[erode(view.crop(face), 0.3 * view.centimetre_px)] = 1.0  # a dark eye near the outline is no background
    body = dilate(view.fragments.face >= 0, CLOTH_CM * view.centimetre_px)
    alpha = np.where(view.inside | body, view.extend(alpha), 0.0)
    person = alpha > 0.5
    return np.where(view.inside | keep_touching(person, person & view.inside), alpha, 0.0)


def landmarks_on_canvas(view: View, landmarks: np.ndarray | None, photo: np.ndarray) -> np.ndarray | None:
    """Landmarks in photo pixels -> canvas pixels; None if there are none."""
    if landmarks is None or not np.isfinite(landmarks).all():
        return None
    scale = np.array([view.size[0] / photo.shape[1], view.size[1] / photo.shape[0]])
    return (landmarks[:, :2] * scale + view.offset).astype(np.float32)


def make_backdrop(
    photo: np.ndarray, view: View, plate: np.ndarray, hole: np.ndarray, alpha: np.ndarray, size: tuple[int, int]
) -> Backdrop:
    """The background at the size of the result; outside the hole it is the photo, resampled once."""
    sharp = resize_photo(photo, size)
    filled = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(view.crop(hole).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    plate = np.where(share[..., None] > 0, filled, sharp)
    return Backdrop(sharp, plate, cv2.resize(view.crop(alpha), size, interpolation=cv2.INTER_AREA))
