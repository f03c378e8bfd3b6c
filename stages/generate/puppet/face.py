"""The face, drawn as a mesh, so that lips part, lids close and eyes turn with the body model.

The fitted face is first moved onto the landmarks detected in the photo. Its texture is then a plain projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.model import Posed, keypoints_from
from stages.generate.puppet.layers import Layer
from stages.generate.puppet.mouth import Teeth, build_teeth, inner_colour
from stages.generate.puppet.texture import Paint
from stages.generate.puppet.view import View, facing, pose_view, smoothstep

OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
"""Landmark numbers of MediaPipe's face mesh, as closed rings."""

CAVITY = (1.2, 1.6, 2.0)
"""The mouth's inside reaches at most this far to the sides, up and down, and back from the lips, in half widths of the
mouth. The body model's reaches the jaw's angles, and would show beside a face that turns away."""
CAVITY_BACK_M = 0.012
SOCKET_BACK_M = 0.006


@dataclass
class Face:
    """The face layer: triangles of the mesh with their own colours, opacity and depth offset, and the teeth."""

    faces: Int[np.ndarray, "faces 3"]
    paint: Paint
    alpha: Float[np.ndarray, "vertices"]
    back: Float[np.ndarray, "vertices"]
    """Metres added to the depth, so that mouth and eyes stay behind lips and lids."""
    teeth: Teeth


def build_face(view: View, paint: Paint, colours: np.ndarray, landmarks: Float[np.ndarray, "478 2"] | None) -> Face:
    """The face layer of a puppet. landmarks: detected landmarks in canvas pixels, or None."""
    sets = view.rig.body.sets
    inner = sets["mouth_cavity"] | sets["tongue"]
    eyeballs = sets["left_eyeball"] | sets["right_eyeball"]
    sockets = sets["left_eye_socket"] | sets["right_eye_socket"]
    detail = sets["lips"] | sets["left_eyelids"] | sets["right_eyelids"]
    _, rest = face_keypoints(view)
    width = float(np.linalg.norm(rest[454] - rest[234])) if 234 in rest else 0.15
    skin = sets["face_skin"]
    alpha = np.zeros(len(skin), np.float32)
    alpha[skin] = oval_fade(view, rest, np.flatnonzero(skin), width)
    alpha *= np.where(detail | (paint.share[:, 0] > 0.9), 1.0, smoothstep(-0.1, 0.1, facing(view)))
    alpha[(inner | eyeballs | sockets)] = 1.0
    keep = (alpha > 0)[view.rig.body.faces].any(1) & (skin | inner | eyeballs | sockets)[view.rig.body.faces].all(1)
    share, fill = paint.share.copy(), paint.fill.copy()
    _paint_inside(view, colours, share, fill, inner, eyeballs, sockets)
    face_paint = Paint(paint.uv, paint.uv_mirror, share, fill)
    back = np.where(
        sets["tongue"], 2 * CAVITY_BACK_M, np.where(inner, CAVITY_BACK_M, np.where(sockets, SOCKET_BACK_M, 0.0))
    ).astype(np.float32)
    teeth = build_teeth(view, rest, colours, landmarks, np.median(paint.fill[skin], 0))
    faces = np.ascontiguousarray(view.rig.body.faces[keep], np.int32)
    return Face(faces, face_paint, alpha, back, teeth)


def face_area(view: View, landmarks: Float[np.ndarray, "478 2"] | None) -> Bool[np.ndarray, "height width"]:
    """Mask of the pixels inside the face's oval in the photo. landmarks: canvas pixels, or None: no pixel."""
    mask = np.zeros(view.photo.shape[:2], np.uint8)
    if landmarks is not None:
        cv2.fillPoly(mask, [landmarks[list(OVAL)].round().astype(np.int32)], (1,))
    return mask > 0


def face_keypoints(view: View) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """By MediaPipe index: canvas pixels of the fitted landmark, and its position in the rest pose, metres."""
    body = view.rig.body
    posed = Posed(view.vertices[None], np.zeros((1, 55, 3), np.float32), view.transforms[None])
    points = keypoints_from(body, view.rig.template, posed)[0]
    rest = np.zeros((len(body.keypoint_names), 3), np.float32)
    np.add.at(rest, body.keypoint_row, view.rig.template[body.keypoint_column] * body.keypoint_value[:, None])
    pixels, places = {}, {}
    for row, name in enumerate(body.keypoint_names):
        if name.startswith("face_"):
            homogeneous = view.K @ points[row]
            pixels[int(name[5:])] = homogeneous[:2] / homogeneous[2]
            places[int(name[5:])] = rest[row]
    return pixels, places


def oval_fade(view: View, rest: dict[int, np.ndarray], members: np.ndarray, width: float) -> np.ndarray:
    """Opacity by distance inside the face oval of the rest pose: full from a tenth of the face's width inwards."""
    ring = np.array([rest[index][:2] for index in OVAL if index in rest], np.float32)
    if len(ring) < 8:
        return np.ones(len(members), np.float32)
    scale = 4000.0  # units of a quarter of a millimetre
    polygon = (ring * scale).reshape(-1, 1, 2)
    points = view.rig.template[members, :2] * scale
    inside = np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in points]) / scale
    return smoothstep(0.0, 0.1 * width, inside).astype(np.float32)


def shrink_cavity(view: View) -> None:
    """Pull the mouth's inside towards the lips, in place, as CAVITY."""
    sets, template = view.rig.body.sets, view.rig.template
    inside, lips = sets["mouth_cavity"] | sets["tongue"], template[sets["lips"]]
    if not inside.any():
        return
    middle = (lips.max(0) + lips.min(0)) / 2
    half = float(np.ptp(lips[:, 0])) / 2
    low, high = middle - half * np.array(CAVITY), middle + half * np.array([*CAVITY[:2], np.inf])
    template[inside] = template[inside].clip(low, high)
    pose_view(view)


def snap_to_landmarks(view: View, landmarks: Float[np.ndarray, "478 2"]) -> None:
    """Move the face's rest vertices, in the picture's plane, so that its landmarks lie on those of the photo.

    landmarks: canvas pixels. The error of the fit is between some tenths of a pixel and some pixels. A smoothing
    thin-plate spline spreads it over the face and fades outside. Moving the surface, not only its texture, keeps the
    photo's own pose exact. Irises and oval are left out: irises slide over the eyeball, the oval along the silhouette.
    """
    from scipy.interpolate import RBFInterpolator

    fitted, rest = face_keypoints(view)
    skin = view.rig.body.sets["face_skin"]
    depth = float(np.median(view.points[skin, 2]))
    width = float(np.linalg.norm(rest[454] - rest[234])) * float(view.K[0, 0]) / depth
    indices = [index for index in fitted if index < 468 and index not in OVAL]
    source = np.array([fitted[index] for index in indices])
    shift = landmarks[indices] - source
    near = np.linalg.norm(shift, axis=1) < 0.15 * width
    if near.sum() < 20:
        return
    source, shift = source[near], shift[near]
    _, unique = np.unique(source.round(1), axis=0, return_index=True)
    spline = RBFInterpolator(source[unique], shift[unique], kernel="thin_plate_spline", smoothing=0.5)
    members = np.flatnonzero(view.rig.body.part_vertices("head"))
    places = view.points[members, :2]
    distance = np.linalg.norm(places - source.mean(0), axis=1) / width
    limit = np.abs(shift).max(0)
    moved = np.clip(spline(places), -limit, limit) * smoothstep(0.95, 0.6, distance)[:, None]
    metres = np.zeros((len(members), 3))
    metres[:, :2] = moved * view.points[members, 2:] / view.K[[0, 1], [0, 1]]
    turn = np.einsum("vk,vkab->vab", view.rig.weights[members], view.transforms[view.rig.joints[members]][..., :3])
    view.rig.template[members] += np.linalg.solve(turn, metres[..., None])[..., 0].astype(np.float32)
    pose_view(view)


def _paint_inside(
    view: View, colours: np.ndarray, share: np.ndarray, fill: np.ndarray,
    inner: np.ndarray, eyeballs: np.ndarray, sockets: np.ndarray,
) -> None:  # fmt: skip
    """Colours inside the face: mouth dark, tongue lighter, hidden parts of the eyeballs white, sockets a dark skin."""
    sets = view.rig.body.sets
    skin = np.median(fill[sets["face_skin"]], 0)
    cavity, tongue = inner_colour("cavity", skin), inner_colour("tongue", skin)
    share[inner] = 0.0
    for name in (name for name in ("mouth_cavity", "tongue") if sets[name].any()):  # FLAME's head has neither
        depth = view.rig.template[sets[name], 2]
        light = smoothstep(depth.max() - 0.045, depth.max(), depth)[:, None]
        fill[sets[name]] = cavity * (0.35 + 0.65 * light)
        if name == "tongue":
            fill[sets[name]] += (tongue - cavity) * light
    bright = float(np.clip(skin.mean() / 150.0, 0.45, 1.0))
    fill[eyeballs] = np.array([214, 206, 200]) * bright
    for side in ("left", "right"):
        iris = sets[f"{side}_iris"]
        seen = iris & (share[:, 0] > 0.5)
        if seen.any():
            x, y = view.points[seen, 0].astype(int), view.points[seen, 1].astype(int)
            height, width = colours.shape[:2]
            fill[iris] = np.median(colours[y.clip(0, height - 1), x.clip(0, width - 1)], 0)
    share[sockets] = 0.0
    fill[sockets] = skin * 0.35
    share[eyeballs, 1] = 0.0


def cut_mouth_and_eyes(view: View, layer: Layer) -> None:
    """Make the head's sheet transparent over mouth and eyes, where it would cover the face layer."""
    fitted, _ = face_keypoints(view)
    width = float(np.linalg.norm(fitted[454] - fitted[234]))
    places = layer.uv + np.array(layer.origin, np.float32)
    for ring in (LIPS, *EYES):
        hull = cv2.convexHull(np.array([fitted[index] for index in ring], np.float32))
        near = np.linalg.norm(places - hull[:, 0].mean(0), axis=1) < 0.5 * width
        for point in np.flatnonzero(near):
            distance = cv2.pointPolygonTest(hull, (float(places[point, 0]), float(places[point, 1])), True)
            if distance > -0.03 * width:
                layer.opacity[point] = 0.0
