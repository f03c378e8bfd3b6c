"""The face drawn with the mesh's own topology: lips part, lids close and eyes turn without being told to.

Texture coordinates are the projection of the fitted face, corrected by a thin-plate spline so that the mesh's
landmarks lie exactly on those detected in the photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

from stages.body.model import Posed, keypoints_from
from stages.generate.puppet.mouth import Plates, build_plates, inner_colour
from stages.generate.puppet.texture import Paint
from stages.generate.puppet.view import View, facing, smoothstep

OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
"""MediaPipe's face mesh, closed rings."""

CAVITY_BACK_M = 0.012
SOCKET_BACK_M = 0.006


@dataclass
class Face:
    """The face pass: a subset of the mesh's triangles with its own colours, opacity and push-back, and the teeth."""

    faces: Int[np.ndarray, "faces 3"]
    paint: Paint
    alpha: Float[np.ndarray, "vertices"]
    back: Float[np.ndarray, "vertices"]
    """Metres added to the depth, so that what is inside stays behind lips and lids."""
    plates: Plates
    holes: Int[np.ndarray, "rings_points"]
    """Vertices nearest to the rings of the mouth and eyes, all rings together."""


def build_face(
    view: View, paint: Paint, colours: np.ndarray, landmarks: Float[np.ndarray, "478 2"] | None
) -> Face | None:
    """None where the body's head is not in the photo. landmarks: detected, canvas pixels, or None."""
    sets = view.rig.body.sets
    inner = sets["mouth_cavity"] | sets["tongue"]
    eyeballs = sets["left_eyeball"] | sets["right_eyeball"]
    sockets = sets["left_eye_socket"] | sets["right_eye_socket"]
    detail = sets["lips"] | sets["left_eyelids"] | sets["right_eyelids"]
    positions, rest = face_keypoints(view)
    width = float(np.linalg.norm(rest[454] - rest[234])) if 234 in rest else 0.15
    skin = sets["face_skin"]
    alpha = np.zeros(len(skin), np.float32)
    alpha[skin] = oval_fade(view, rest, np.flatnonzero(skin), width)
    direct = smoothstep(0.05, 0.3, facing(view))
    alpha *= np.where(detail, 1.0, direct)
    alpha[(inner | eyeballs | sockets)] = 1.0
    uv = paint.uv
    if landmarks is not None:
        uv = correct(uv, positions, landmarks, width * float(view.K[0, 0]) / float(np.median(view.points[skin, 2])))
    keep = (alpha > 0)[view.rig.body.faces].any(1) & (skin | inner | eyeballs | sockets)[view.rig.body.faces].all(1)
    share, fill = paint.share.copy(), paint.fill.copy()
    _paint_inside(view, colours, share, fill, inner, eyeballs, sockets)
    face_paint = Paint(np.ascontiguousarray(uv, np.float32), paint.uv_mirror, share, fill)
    back = np.where(inner, CAVITY_BACK_M, np.where(sockets, SOCKET_BACK_M, 0.0)).astype(np.float32)
    rings = np.concatenate([[rest_index for rest_index in ring if rest_index in rest] for ring in (LIPS,)])
    nearest = _nearest_vertices(view, rest, rings)
    plates = build_plates(view, rest, colours, landmarks, positions)
    faces = np.ascontiguousarray(view.rig.body.faces[keep], np.int32)
    return Face(faces, face_paint, alpha, back, plates, nearest)


def face_keypoints(view: View) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """MediaPipe index -> canvas pixels of the fitted landmark, and -> its place on the rest pose, metres."""
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
    """Opacity by distance inside the face oval on the frontal rest pose: full from a tenth of the face's width in."""
    ring = np.array([rest[index][:2] for index in OVAL if index in rest], np.float32)
    if len(ring) < 8:
        return np.ones(len(members), np.float32)
    scale = 4000.0  # a quarter of a millimetre
    polygon = (ring * scale).reshape(-1, 1, 2)
    points = view.rig.template[members, :2] * scale
    inside = np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in points]) / scale
    return smoothstep(0.0, 0.1 * width, inside).astype(np.float32)


def correct(uv: np.ndarray, fitted: dict[int, np.ndarray], detected: np.ndarray, width_px: float) -> np.ndarray:
    """Move texture coordinates by a smoothing thin-plate spline through (detected - fitted), fading off the face.

    Iris landmarks and the oval are left out: the former slide over the eyeball, the latter along the silhouette.
    """
    from scipy.interpolate import RBFInterpolator

    indices = [index for index in fitted if index < 468 and index not in OVAL]
    source = np.array([fitted[index] for index in indices])
    shift = detected[indices] - source
    finite = np.isfinite(shift).all(1) & (np.linalg.norm(shift, axis=1) < 0.15 * width_px)
    if finite.sum() < 20:
        return uv
    source, shift = source[finite], shift[finite]
    _, unique = np.unique(source.round(1), axis=0, return_index=True)
    spline = RBFInterpolator(source[unique], shift[unique], kernel="thin_plate_spline", smoothing=0.5)
    centre = source.mean(0)
    near = np.linalg.norm(uv - centre, axis=1) < 0.9 * width_px
    out = uv.copy()
    limit = np.abs(shift).max()
    distance = np.linalg.norm(uv[near] - centre, axis=1)
    moved = np.clip(spline(uv[near]), -limit, limit) * smoothstep(0.9, 0.6, distance / width_px)[:, None]
    out[near] += moved.astype(np.float32)
    return out


def _paint_inside(
    view: View, colours: np.ndarray, share: np.ndarray, fill: np.ndarray,
    inner: np.ndarray, eyeballs: np.ndarray, sockets: np.ndarray,
) -> None:  # fmt: skip
    """Mouth dark, tongue a little lighter; unseen parts of the eyeballs white; sockets the lids' own dark."""
    sets = view.rig.body.sets
    share[inner] = 0.0
    fill[sets["mouth_cavity"]] = inner_colour("cavity")
    fill[sets["tongue"]] = inner_colour("tongue")
    skin = np.median(fill[sets["face_skin"]], 0)
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


def _nearest_vertices(view: View, rest: dict[int, np.ndarray], ring: np.ndarray) -> np.ndarray:
    from scipy.spatial import cKDTree

    skin = np.flatnonzero(view.rig.body.sets["face_skin"])
    return skin[cKDTree(view.rig.template[skin]).query(np.array([rest[int(index)] for index in ring]))[1]]
