"""A colour for every vertex: the photo where the surface is visible, its mirror image, or a neighbour's colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.model import JOINT_NAMES, PART_NAMES
from stages.generate.puppet.parts import LAYERS, layer_of_vertex
from stages.generate.puppet.view import View, facing, smoothstep, vertex_normals
from stages.networks.face_points import GROUPS
from stages.raster.masks import dilate, erode
from stages.raster.rasterizer import rasterizer

CLASSES = (("torso",), ("head",), ("left_arm", "right_arm"), ("left_hand", "right_hand"),
           ("left_leg", "right_leg"), ("left_foot", "right_foot"))  # fmt: skip
"""Groups of parts; a part takes missing colours from parts of its group only."""
FEWEST = 40
"""With fewer seen vertices a part says nothing about its colour."""
MIN_VISIBLE_SHARE = 0.1
"""A forearm or shin with a smaller visible share counts as not visible."""
UNLIKE = 70.0
"""Distance of two colours (RGB, 0 to 255) above which they do not belong to one cloth."""

SHADOW = 0.35
"""Least share of the light that a cloth in shadow still has; what is darker is another thing."""
BONES = tuple(
    (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
)
LIMBS = {
    f"{side}_{limb}": (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for limb, start, end in (("arm", "shoulder", "wrist"), ("leg", "hip", "ankle"))
}
"""Layer of a limb -> its first and last joint."""
FEWEST_OF_LIMB = 20
"""With fewer seen vertices a limb does not say where its cloth ends."""
UNSORTED = 0.2
"""A limb of which a larger share is skin above the end of its cloth, or cloth below it, has no such end."""
COVERED_HAND, FREE_HAND = 0.85, 0.9
"""A hand with a smaller share of skin holds something, if the other has the second share at least."""
LEVEL = 0.6
"""A limb that is shorter in the picture, as a share of its length, points at the camera and shows no side whole."""
BEHIND_FACE_M = 0.075
"""The ears lie at most this far behind the skin of the face."""
EDGE_CM = (0.4, 1.2)
"""Depth inside the outline of a part from which the photo's texture begins, and where it is whole."""
SURE_HAIR = 0.4
"""A vertex is hair if it is nearer to the colour of the head's top than to skin by this: mixtures are neither."""
SEEN_SHADE = 0.9
"""Mean shade of surfaces that the photo shows, over lit ones."""
HANDS_LIGHT = 0.95
"""Unseen sides of hands are at least this light, over the face's lit skin, before they are shaded."""
UNLIKE_SKIN = 45.0
"""The same for the skin of one face: hair over a forehead is not skin."""
UNLIKE_LIGHT = 30.0
"""The same for two sides of one face that are not under the same light."""
LUMA = np.array([0.299, 0.587, 0.114])
LAMP = np.array([0.62, -0.10, -0.20, -0.25])
"""The light of a lamp at the upper left of the camera, as `Paint.light`."""
SKIN_SHADOW = np.array([0.85, 1.0, 1.1])
"""Exponent of a shadow on skin, for red, green and blue: light that passes through skin comes back red."""
UNDER_CHIN = 0.4
"""How much darker unseen skin of the face is that looks at the ground, where no neck is seen."""
FEATURES = (
    (*GROUPS["RIGHT_EYE"], *GROUPS["RIGHT_EYEBROW"]),
    (*GROUPS["LEFT_EYE"], *GROUPS["LEFT_EYEBROW"]),
    GROUPS["LIPS"],
)
"""Landmarks of MediaPipe's face mesh around each eye with its brow, and around the lips."""


@dataclass
class Paint:
    """The arguments of `draw_mesh` that colour each vertex."""

    uv: Float[np.ndarray, "vertices 2"]
    uv_mirror: Float[np.ndarray, "vertices 2"]
    share: Float[np.ndarray, "vertices 2"]
    fill: Float[np.ndarray, "vertices 3"]
    light: Float[np.ndarray, "4"] | None = None
    """The light on the face: brightness = light[0] + normal . light[1:4], over the brightness of `fill`."""
    shading: Float[np.ndarray, "vertices 3"] | None = None
    """Exponent of the shade of `fill`, per colour: arms, legs and hands are shaded anew in every frame, 0 is not."""

    def shaded(self, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> np.ndarray:
        """`fill` with the limbs lit from where the face in the photo is lit. vertices: camera frame."""
        if self.light is None or self.shading is None:
            return self.fill
        fill = self.fill.copy()
        limbs = np.flatnonzero(self.shading.any(1))
        shade = shade_of(self.light, vertex_normals(vertices, faces)[limbs])
        fill[limbs] *= shade[:, None] ** self.shading[limbs]
        return np.minimum(fill, 255.0)


def paint_mesh(
    view: View,
    colours: np.ndarray,
    alpha: np.ndarray,
    labels: np.ndarray,
    trusted: np.ndarray,
    landmarks: Float[np.ndarray, "478 2"] | None,
) -> Paint:
    """The paint of the body mesh.

    colours: the person's colour at every pixel. trusted (V): False for vertices of parts not visible in the photo.
    landmarks: the face found in the photo, canvas pixels.
    """
    clear = clear_of_edges(view, alpha, labels)
    inner = well_inside(view, alpha, labels)
    seen = visibility(view, alpha, labels) * trusted
    face = np.zeros(len(seen)) if landmarks is None else face_visibility(view, alpha, labels, landmarks)
    skin, light = lit_skin(view, colours, np.maximum(seen, face) * inner)
    bare = bare_limbs(view, colours, seen, skin)
    hide_things_on_hands(view, colours, seen, skin)
    for segment in ("left_elbow", "right_elbow", "left_knee", "right_knee"):
        hide_small_areas(seen, view.rig.body.weights[:, JOINT_NAMES.index(segment)] > 0.6)
    seen = np.maximum(seen * clear, face)
    hide_covered_limbs(view, colours, seen)
    mirror = mirror_vertices(view.rig.body.v_template)
    through = seen_through(view, alpha, labels, seen) * clear
    borrowed = (seen + through)[mirror] * smoothstep(0.5, 0.0, seen)
    borrowed *= _has_usual_colour(view, colours, seen)[mirror] * (bare == bare[mirror])
    uv = view.points[:, :2]
    fill, shading = fill_colours(view, colours, seen * inner, seen, skin, alpha, bare)
    borrowed *= continue_face(view, colours, seen, mirror, fill)
    share = np.stack([seen + through, np.clip(borrowed, 0, 1 - seen - through)], 1)
    return Paint(
        np.ascontiguousarray(uv, np.float32),
        np.ascontiguousarray(uv[mirror], np.float32),
        share.astype(np.float32),
        fill.astype(np.float32),
        light,
        shading.astype(np.float32),
    )


def lit_skin(
    view: View, colours: np.ndarray, sure: np.ndarray
) -> tuple[Float[np.ndarray, "3"] | None, Float[np.ndarray, "4"]]:
    """The colour of the face's lit skin, and the light on it, see `Paint.light`; no colour without a visible face.

    Brows, lips, lids, hair over the face and shadows are left out of the colour. The light is a least-squares plane
    through brightness over normals (Lambert), drawn towards a lamp at the upper left of the camera where a face says
    little.
    """
    sets = view.rig.body.sets
    detail = np.zeros(len(sure), bool)
    for name in ("lips", "left_eyelids", "right_eyelids", "left_brow", "right_brow"):
        detail |= sets[name]
    rows = np.flatnonzero(sets["face_skin"] & ~detail & (sure > 0.6))
    if len(rows) < 40:
        return None, LAMP
    seen = colours_at(view, cv2.GaussianBlur(colours, (0, 0), max(1.0, 0.4 * view.centimetre_px)))[rows]
    skin = is_like(seen, usual_colour(seen), UNLIKE_SKIN)
    rows, seen = rows[skin], seen[skin]
    bright = seen @ LUMA
    low, high = np.percentile(bright, (45, 90))
    lit = seen[(bright >= low) & (bright <= high)].mean(0)
    relative = bright / max(float(lit @ LUMA), 1.0)
    normals = np.concatenate([np.ones((len(rows), 1)), view.normals[rows]], 1)
    hold = 0.05 * len(rows)
    system = normals.T @ normals + hold * np.eye(4)
    return lit, np.linalg.solve(system, normals.T @ relative + hold * LAMP)


def shade_of(light: Float[np.ndarray, "4"], normals: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points"]:
    """Brightness of surfaces with these normals in that light, as a share of lit skin."""
    return np.clip(light[0] + normals @ light[1:], 0.6, 1.12)


def hide_small_areas(seen: np.ndarray, members: np.ndarray) -> None:
    """Set the vertices of a forearm or shin to unseen if few are seen: a plain sleeve looks better than patches."""
    if (seen[members] > 0.6).mean() < MIN_VISIBLE_SHARE:
        seen[members] = 0.0


def bare_limbs(
    view: View, colours: np.ndarray, seen: np.ndarray, skin: Float[np.ndarray, "3"] | None
) -> Bool[np.ndarray, "vertices"]:
    """Vertices of arms and legs that lie below the end of a sleeve or trouser leg, and are skin wherever they are.

    A limb that says nothing, or is not seen there, ends its cloth where its mirror image does. Where neither says it,
    nothing is bare.
    """
    body = view.rig.body
    bare = np.zeros(len(seen), bool)
    if skin is None:
        return bare
    shown = colours_at(view, colours)
    torso = body.part_vertices("torso") & (seen > 0.6)
    is_skin = is_like(shown, skin, UNLIKE_SKIN)
    if torso.sum() >= FEWEST:
        is_skin &= apart(shown, skin) < apart(shown, usual_colour(shown[torso]))
    along, shown, ends = {}, {}, {}
    for limb, joints in LIMBS.items():
        start, end = view.rig.rest_joints[[JOINT_NAMES.index(joint) for joint in joints]]
        along[limb] = (view.rig.template - start) @ (end - start) / ((end - start) @ (end - start))
        rows = body.part_vertices(limb) & (seen > 0.6)
        ends[limb] = end_of_cloth(along[limb][rows], is_skin[rows])
        shown[limb] = along[limb][rows].min(initial=np.inf), along[limb][rows].max(initial=-np.inf)
    for limb in LIMBS:
        side, name = limb.split("_")
        end, other = ends[limb], ends[f"{'left' if side == 'right' else 'right'}_{name}"]
        if end is None or (other is not None and np.isinf(end) and not shown[limb][0] < other < shown[limb][1]):
            end = other
        if end is not None:
            bare |= body.part_vertices(limb) & (along[limb] > end)
    return bare


def end_of_cloth(along: Float[np.ndarray, "points"], skin: Bool[np.ndarray, "points"]) -> float | None:
    """Where on a limb cloth ends and skin begins, so that the fewest points are on the wrong side.

    along: place of each point, 0 at the limb's first joint, 1 at its last. Returns -inf for a limb that is all skin,
    inf for one without skin, and None for few points or where skin and cloth alternate.
    """
    if len(along) < FEWEST_OF_LIMB:
        return None
    order = np.argsort(along)
    sorted_skin = skin[order]
    above = np.concatenate([[0], np.cumsum(sorted_skin)])
    below = np.concatenate([np.cumsum(~sorted_skin[::-1])[::-1], [0]])
    wrong = above + below
    best = int(wrong.argmin())
    if wrong[best] > UNSORTED * len(along):
        return None
    if best in (0, len(along)):
        return float("inf") if best else float("-inf")
    return float(along[order[best - 1 : best + 1]].mean())


def hide_things_on_hands(view: View, colours: np.ndarray, seen: np.ndarray, skin: np.ndarray | None) -> None:
    """Set what is no skin on bare hands to unseen: a held thing, or a jacket beside a hand whose fit is not exact.

    A hand that shows much else than skin, while the other does not, holds something, and is not seen at all: a phone is
    nearly as pale as skin. A hand that is mostly no skin wears a glove and is left as it is.
    """
    if skin is None:
        return
    is_skin = is_like(colours_at(view, colours), skin, UNLIKE_SKIN)
    hands = [view.rig.body.part_vertices(name) for name in ("left_hand", "right_hand")]
    rows = [hand & (seen > 0.6) for hand in hands]
    share = [float(is_skin[hand].mean()) if hand.sum() >= FEWEST else np.nan for hand in rows]
    for hand, own, other in zip(hands, share, share[::-1], strict=True):
        if own > 0.5:
            seen[hand & ~is_skin] = 0.0
            if own < COVERED_HAND and other > FREE_HAND:
                seen[hand] = 0.0


def colours_at(view: View, colours: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
    """The picture's colour where each vertex lies."""
    height, width = colours.shape[:2]
    x, y = view.points[:, 0].astype(int).clip(0, width - 1), view.points[:, 1].astype(int).clip(0, height - 1)
    return colours[y, x].astype(np.float64)


def hide_covered_limbs(view: View, colours: np.ndarray, seen: np.ndarray) -> None:
    """Set a limb to unseen if its colour is neither that of the other side nor of the torso: something covers it.

    Otherwise the black and white of a held helmet are mirrored onto the other sleeve.
    """
    part, shown = view.rig.body.part, colours_at(view, colours)

    def colour(*names: str) -> np.ndarray | None:
        rows = _members(part, names) & (seen > 0.6)
        return usual_colour(shown[rows]) if rows.sum() >= 40 else None

    torso = colour("torso")
    for limb in ("arm", "leg"):
        sides = [f"left_{limb}", f"right_{limb}"]
        own = [colour(name) for name in sides]
        if torso is None or own[0] is None or own[1] is None or unlike(own[0], own[1]) < UNLIKE:
            continue
        away = [unlike(side, torso) for side in own if side is not None]
        if max(away) > UNLIKE > min(away):
            seen[_members(part, (sides[int(np.argmax(away))],))] = 0.0


def seen_through(view: View, alpha: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> Float[np.ndarray, "vertices"]:
    """How far each unseen vertex of a limb takes the photo's colour where it lies in the picture, 0 to 1.

    There the photo shows the other side of the limb: the back of a sleeve, a trouser leg or a bare arm looks like its
    front, and both meet at the outline without a seam. Not where nothing of the limb was seen, or another part shows.
    """
    height, width = alpha.shape
    x, y = view.points[:, 0].astype(int), view.points[:, 1].astype(int)
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    rows = layer_of_vertex(view)
    through = within * (labels[y, x] == rows) * (alpha[y, x] > 0.4) * (1 - seen)
    for row, name in enumerate(LAYERS):
        members = rows == row
        if not name.endswith(("arm", "leg")) or (seen[members] > 0.6).sum() < 40:
            through[members] = 0.0
    for start, end in BONES:
        if points_at_camera(view, start, end):
            through[view.rig.body.weights[:, JOINT_NAMES.index(start)] > 0.4] = 0.0
    return through


def points_at_camera(view: View, start: str, end: str) -> bool:
    """Whether the photo shows the bone between two joints from its end, see LEVEL."""
    bone = np.diff(view.joints(start, end), axis=0)[0]
    return bool(np.linalg.norm(bone[:2]) < LEVEL * np.linalg.norm(bone))


def visibility(view: View, alpha: np.ndarray, labels: np.ndarray) -> Float[np.ndarray, "vertices"]:
    """How well each vertex is visible in the photo, 0 to 1."""
    height, width = alpha.shape
    x, y = view.points[:, 0].astype(int), view.points[:, 1].astype(int)
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    depth = np.where(np.isfinite(view.fragments.depth), view.fragments.depth, 1e3).astype(np.float32)
    radius = max(1, round(1.2 * view.centimetre_px))
    nearby = cv2.erode(depth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))
    z = view.points[:, 2]
    first = (z < depth[y, x] + 0.012) & (z < nearby[y, x] + 0.04)
    own = labels[y, x] == layer_of_vertex(view)
    return within * first * own * (alpha[y, x] > 0.4) * smoothstep(0.12, 0.35, facing(view))


def clear_of_edges(view: View, alpha: np.ndarray, labels: np.ndarray) -> Float[np.ndarray, "vertices"]:
    """1 for vertices of trunk and limbs clear of the edge of their part in the photo (EDGE_CM), 0 at the edge.

    Between a seen and an unseen vertex the texture would show the background or the hand before a hip. The sheets show
    these pixels where they are right. Head and hands are 1.
    """
    height, width = alpha.shape
    x, y = view.points[:, 0].astype(int).clip(0, width - 1), view.points[:, 1].astype(int).clip(0, height - 1)
    rows, head = layer_of_vertex(view), list(LAYERS).index("head")
    clear = np.ones(len(rows))
    for row, name in enumerate(LAYERS):
        if name == "head" or name.endswith("hand"):
            continue
        own = (alpha > 0.9) & ((labels == row) | ((labels == head) & (name == "torso")))
        inside = np.asarray(cv2.distanceTransform(own.astype(np.uint8), cv2.DIST_L2, 3)) / view.centimetre_px
        members = rows == row
        clear[members] = smoothstep(*EDGE_CM, inside[y[members], x[members]])
    return clear


def face_visibility(
    view: View, alpha: np.ndarray, labels: np.ndarray, landmarks: Float[np.ndarray, "478 2"]
) -> Float[np.ndarray, "vertices"]:
    """How well each vertex of the face is visible, 0 to 1, by the photo and the head alone.

    The face lies on its landmarks, so that even its far side has the right colour. The fit of a hand beside a cheek is
    not as exact; only pixels that are a hand's hide the face. Eyes, brows and lips were found and are never hidden.
    """
    body = view.rig.body
    height, width = alpha.shape
    head = body.faces[body.part_vertices("head")[body.faces].all(1)]
    depth = rasterizer("numba")(view.points, head, width, height).depth
    x, y = view.points[:, 0].astype(int), view.points[:, 1].astype(int)
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    found = np.zeros(alpha.shape, np.uint8)
    for ring in FEATURES:
        cv2.fillConvexPoly(found, cv2.convexHull(landmarks[list(ring)].round().astype(np.int32)), (1,))
    feature = dilate(found > 0, 0.4 * view.centimetre_px)[y, x]
    first = view.points[:, 2] < np.where(np.isfinite(depth), depth, 1e3)[y, x] + 0.012
    own = (labels[y, x] == list(LAYERS).index("head")) | feature
    return (
        (body.sets["face_skin"] | body.sets["lips"]) * within * first * own * (alpha[y, x] > 0.4)
        * np.where(feature, smoothstep(-0.1, 0.05, facing(view)), smoothstep(0.02, 0.2, facing(view)))
    )  # fmt: skip


def continue_face(
    view: View, colours: np.ndarray, seen: np.ndarray, mirror: np.ndarray, fill: np.ndarray
) -> Float[np.ndarray, "vertices"]:
    """Continue the seen skin of the face over the unseen: `fill` is changed there, in place.

    The colour grows from the edge of what is seen (Laplace's equation on the mesh), so that it has the edge's light.
    Returns, per vertex, how far the other side of the face has that light too, 0 to 1; only then its picture may be
    borrowed. 1 outside the face.
    """
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import spsolve

    body = view.rig.body
    skin = np.flatnonzero(body.sets["face_skin"])
    like = np.ones(len(seen))
    known = seen[skin] > 0.6
    if known.sum() < 40:
        return like
    row = np.full(len(seen), -1)
    row[skin] = np.arange(len(skin))
    faces = row[body.faces[(row[body.faces] >= 0).all(1)]]
    one, other = faces.ravel(), np.roll(faces, 1, axis=1).ravel()
    links = coo_matrix((np.ones(len(one)), (one, other)), (len(skin), len(skin))).tocsr()
    links = links + links.T
    smooth = colours_at(view, cv2.GaussianBlur(colours, (0, 0), max(1.0, 0.6 * view.centimetre_px)))
    hold = 100.0 * known + 1e-6
    system = diags(np.asarray(links.sum(1)).ravel() + hold) - links
    target = hold[:, None] * np.where(known[:, None], smooth[skin], np.median(smooth[skin][known], 0))
    grown = np.asarray(spsolve(system.tocsc(), target))
    under = light_below_chin(view, smooth, seen, float(np.median(smooth[skin][known] @ LUMA)))[skin]
    fill[skin] = np.clip(grown * np.where(known, 1.0, under)[:, None], 0, 255)
    away = np.linalg.norm(smooth[mirror[skin]] - grown, axis=1)
    like[skin] = np.exp(-((away / UNLIKE_LIGHT) ** 2))
    return like


def light_below_chin(
    view: View, colours: Float[np.ndarray, "vertices 3"], seen: np.ndarray, face: float
) -> Float[np.ndarray, "vertices"]:
    """Brightness of skin that looks at the ground, as a share of that which does not: the seen neck's over the face's.

    face: the usual brightness of the face, 0 to 255.
    """
    body = view.rig.body
    neck = (body.weights[:, JOINT_NAMES.index("neck")] > 0.4) & ~body.sets["face_skin"] & (seen > 0.6)
    dark = UNDER_CHIN
    if neck.sum() >= FEWEST:
        dark = 1.0 - float(np.clip(np.median(colours[neck] @ LUMA) / max(face, 1.0), SHADOW, 1.0))
    return 1.0 - dark * smoothstep(0.1, 0.8, view.normals[:, 1])


def well_inside(view: View, alpha: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Boolean (V): vertices a centimetre inside the matte and inside their own part, without colour from outside."""
    height, width = alpha.shape
    x = view.points[:, 0].astype(int).clip(0, width - 1)
    y = view.points[:, 1].astype(int).clip(0, height - 1)
    rows = layer_of_vertex(view)
    inside = np.zeros(len(rows), bool)
    for row in range(len(LAYERS)):
        thin = list(LAYERS)[row].endswith("hand")
        core = erode((labels == row) & (alpha > 0.9), (0.3 if thin else 1.0) * view.centimetre_px)
        inside |= (rows == row) & core[y, x]
    return inside


def mirror_vertices(v_template: Float[np.ndarray, "vertices 3"]) -> Int[np.ndarray, "vertices"]:
    """The vertex nearest to each vertex's mirror image."""
    from scipy.spatial import KDTree

    _, nearest = KDTree(v_template).query(v_template * np.array([-1, 1, 1], np.float32))
    return np.asarray(nearest)


def fill_colours(
    view: View,
    colours: np.ndarray,
    sure: np.ndarray,
    seen: np.ndarray,
    lit: Float[np.ndarray, "3"] | None,
    alpha: np.ndarray,
    bare: Bool[np.ndarray, "vertices"],
) -> tuple[Float[np.ndarray, "vertices 3"], Float[np.ndarray, "vertices 3"]]:
    """Colours of unseen vertices, from seen vertices of the same group that are near in (|x|, y, 0.35 z) at rest.

    With this distance a vertex is near its mirror image and near the front of the body. The back of the head takes its
    colour from hair, not from the face; the neck from the neck, if it is seen. The result is shaded by a lamp at the
    upper left of the camera. A hand or head without seen vertices takes the colour `lit` of the face's lit skin; a
    limb takes the usual colour of the torso, below the end of its cloth (`bare`) that of skin; cloth and skin of a limb
    are not mixed. sure, seen (V): strict and less strict visibility, 0 to 1. Returns the
    colours, and the exponent of the shade of those that must still be shaded (`Paint.shading`).
    """
    from scipy.spatial import KDTree

    rest = view.rig.template * np.array([1, 1, 0.35], np.float32)
    rest[:, 0] = np.abs(rest[:, 0])
    smooth = cv2.GaussianBlur(colours, (0, 0), max(1.0, 0.6 * view.centimetre_px))
    direct = colours_at(view, smooth).astype(np.float32)
    good = sure > 0.6
    fill = np.empty_like(direct)
    everyone = np.median(direct[good], 0) if good.any() else np.full(3, 128.0, np.float32)
    skin = everyone if lit is None else lit
    trunk = good & _members(view.rig.body.part, ("torso",))
    cloth = usual_colour(direct[trunk]) if trunk.sum() >= FEWEST else cloth_before_trunk(view, smooth, alpha)
    shading = np.zeros((len(direct), 3))
    part, face = view.rig.body.part, view.rig.body.sets["face_skin"]
    neck = view.rig.body.weights[:, JOINT_NAMES.index("neck")] > 0.4
    groups = []
    for names in CLASSES:
        members = _members(part, names)
        groups.append((members & ~bare, members & ~bare, names[0]))
        if (members & bare).any():
            ends = _members(part, ("left_hand", "right_hand")) if names[0] == "left_arm" else np.zeros(len(bare), bool)
            groups.append((members & bare, (members & bare) | ends, f"bare_{names[0]}"))
    jaw = _members(part, ("head",)) & beside_jaw(view)
    scalp = _members(part, ("head",)) & ~face & ~jaw
    groups += [(scalp, scalp, "hair"), (jaw, (face | jaw | neck) & is_like(direct, skin, UNLIKE_SKIN), "jaw")]
    own = neck & ~face & (seen > 0.3)  # a neck in the chin's shadow is not as light as the chin
    groups.append((neck & ~face, own if own.sum() >= 40 else _members(part, ("head", "torso")) & (seen > 0.3), "neck"))
    for members, allowed, name in groups:
        sources = np.flatnonzero(allowed & (seen > 0.3 if name in ("neck", "hair", "jaw") else good))
        if name.endswith(("hand", "arm", "leg")):
            shading[members] = SKIN_SHADOW if name.endswith("hand") or name.startswith("bare") else 1.0
        if len(sources) < (FEWEST if name == "torso" else 12):
            if name not in ("hair", "neck", "jaw"):
                fill[members] = skin if name.endswith(("hand", "head")) or name.startswith("bare") else cloth
            if name in ("left_arm", "left_leg"):
                fill[members] /= SEEN_SHADE
            continue
        if name == "hair":
            sources = _not_skin(view, direct, sources, skin)
        count = min(120 if name == "torso" else 40 if name.endswith(("arm", "leg")) else 12, len(sources))
        distance, nearest = KDTree(rest[sources]).query(rest[members], k=count)
        weight = 1.0 / (distance + 0.01)
        if name == "torso":  # far from any seen vertex, the usual colour of the cloth
            far = np.clip((distance[:, :1] - 0.01) / 0.04, 0, 1)
            weight *= (distance + 0.01) ** (far - 1) * _commonness(direct[sources])[nearest] ** far
        weight /= weight.sum(1, keepdims=True)
        fill[members] = (direct[sources[nearest]] * weight[..., None]).sum(1)
        if name == "jaw":
            below = float(skin @ LUMA) * light_below_chin(view, direct, seen, float(skin @ LUMA))[members]
            fill[members] *= np.minimum(1.0, below / np.maximum(fill[members] @ LUMA, 1.0))[:, None]
        if name.endswith(("hand", "arm", "leg")):
            fill[members] /= SEEN_SHADE
        if (name.endswith("hand") or name.startswith("bare")) and lit is not None:
            fill[members] *= lightening(fill[members], lit)
    lamp = np.array([-0.3, -0.6, -0.74], np.float32)
    shade = 0.84 + 0.20 * np.clip(view.normals @ lamp, 0, 1)
    shade[shading.any(1) | jaw] = 1.0
    return np.clip(fill * shade[:, None], 0, 255), shading


def beside_jaw(view: View) -> Bool[np.ndarray, "vertices"]:
    """Vertices of the head that lie lower than the eyes and not behind the ears: skin, beside and below the jaw."""
    rest, sets = view.rig.template, view.rig.body.sets
    eyes = rest[sets["left_eyelids"] | sets["right_eyelids"]]
    behind = rest[sets["face_skin"], 2].min() - BEHIND_FACE_M
    return (rest[:, 1] < eyes[:, 1].mean()) & (rest[:, 2] > behind) & ~sets["face_skin"]


def lightening(skin: Float[np.ndarray, "points 3"], lit: Float[np.ndarray, "3"]) -> float:
    """The gain for hands and bare limbs that are skin like the lit face: lighter if they lie in its shadow, and not
    lighter than the photo shows them if they lie in more light. 1 for gloves."""
    usual = usual_colour(skin)
    if not is_like(usual[None], lit, UNLIKE_SKIN)[0]:
        return 1.0
    share = float(lit @ LUMA) / max(float(usual @ LUMA), 1.0)
    return min(max(share, SEEN_SHADE), 1.0) if share < 1.0 else min(max(HANDS_LIGHT * share, 1.0), 1.0 / SHADOW)


def cloth_before_trunk(view: View, colours: np.ndarray, alpha: np.ndarray) -> Float[np.ndarray, "3"]:
    """The usual colour of what the photo shows before trunk and arms, hair or cloth; that of the person without any."""
    faces = view.rig.body.faces[view.fragments.face]
    clothed = _members(view.rig.body.part, ("torso", "left_arm", "right_arm"))[faces].all(-1)
    neck = (view.rig.body.weights[:, JOINT_NAMES.index("neck")] > 0.4)[faces].any(-1)
    shown = (view.fragments.face >= 0) & clothed & ~neck & (alpha > 0.9)
    person = shown if shown.sum() >= FEWEST else alpha > 0.9
    return usual_colour(colours[person]) if person.any() else np.full(3, 128.0, np.float32)


def _not_skin(view: View, direct: np.ndarray, sources: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Of the vertices `sources` of a head without its face, those that have the colour of its top and not of skin.

    Ears and temples are skin; the back of the head is not. All of them if the top is skin too, or if few are left.
    """
    height = view.rig.template[sources, 1]
    top = usual_colour(direct[sources[height >= np.quantile(height, 0.85)]])
    away = [np.linalg.norm(direct[sources] - colour, axis=1) for colour in (top, skin)]
    kept = sources[away[0] < SURE_HAIR * away[1]]
    return kept if len(kept) >= FEWEST else sources


def unlike(one: Float[np.ndarray, "3"], other: Float[np.ndarray, "3"]) -> float:
    """Distance of two colours (RGB, 0 to 255) under the same light, as `apart`."""
    return float(apart(one[None], other)[0])


def apart(colours: Float[np.ndarray, "*points 3"], colour: Float[np.ndarray, "3"]) -> Float[np.ndarray, "*points"]:
    """Distance of each colour (RGB, 0 to 255) from `colour` under the same light: the darker is lightened, at most by
    1 / SHADOW."""
    bright, light = np.maximum(colours @ LUMA, 1.0), max(float(colour @ LUMA), 1.0)
    gain = np.clip(light / bright, 1.0, 1.0 / SHADOW)[..., None]
    other = np.clip(bright / light, 1.0, 1.0 / SHADOW)[..., None]
    return np.linalg.norm(gain * colours - other * colour, axis=-1)


def is_like(colours: Float[np.ndarray, "points 3"], colour: Float[np.ndarray, "3"], most: float) -> np.ndarray:
    """Boolean (points): colours that are `colour` under some light (`unlike`), as dark as SHADOW allows."""
    bright, light = np.maximum(colours @ LUMA, 1.0), max(float(colour @ LUMA), 1.0)
    gain = light / bright
    away = np.linalg.norm(colours * gain[:, None] - colour, axis=1)
    return (away < most) & (bright > SHADOW * light)


def usual_colour(colours: np.ndarray) -> Float[np.ndarray, "3"]:
    """The most common colour (0 to 255). A median would mix an orange suit and a black helmet to brown."""
    some = colours[:: max(1, len(colours) // 400)].astype(np.float32)
    near = np.exp(-((np.linalg.norm(some[:, None] - some[None], axis=2) / UNLIKE) ** 2))
    weight = near[int(near.sum(1).argmax())]
    return (some * weight[:, None]).sum(0) / weight.sum()


def _has_usual_colour(view: View, colours: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Boolean (V): False on the torso where the colour is unusual (straps, badges), which must not be mirrored."""
    torso, shown = (
        np.flatnonzero(_members(view.rig.body.part, ("torso",))),
        colours_at(view, colours).astype(np.float32),
    )
    usual = np.ones(len(shown), bool)
    visible = torso[seen[torso] > 0.6]
    if len(visible) >= 40:
        away = np.linalg.norm(shown[torso] - usual_colour(shown[visible]), axis=1)
        usual[torso] = away < UNLIKE
    return usual


def _commonness(colours: Float[np.ndarray, "sources 3"]) -> Float[np.ndarray, "sources"]:
    """1 for the usual colour of the cloth, down to 0.02 for straps and badges on it."""
    away = np.linalg.norm(colours - usual_colour(colours), axis=1)
    return 0.02 + 0.98 * np.exp(-((away / UNLIKE) ** 2))


def _members(part: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    return np.isin(part, [PART_NAMES.index(name) for name in names])


def visible_layers(view: View, alpha: np.ndarray, valid_hands: tuple[bool, bool]) -> np.ndarray:
    """Boolean (V): vertices of layers that lie inside the matte (at least 60 %) and, for hands, were measured."""
    height, width = alpha.shape
    inner = erode(alpha > 0.3, 0)
    x, y = view.points[:, 0].astype(int), view.points[:, 1].astype(int)
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    inside = within & inner[y.clip(0, height - 1), x.clip(0, width - 1)]
    rows = layer_of_vertex(view)
    visible = np.ones(len(rows), bool)
    for row, name in enumerate(LAYERS):
        members = rows == row
        framed = members & within
        unmeasured = name.endswith("hand") and not valid_hands[name.startswith("right")]
        if unmeasured or framed.sum() < 10 or inside[framed].mean() < 0.6:
            visible[members] = name in ("torso", "head")
    return visible
