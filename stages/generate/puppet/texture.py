"""A colour for every vertex: the photo where it saw the surface, its mirror image, or a neighbour's colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

from stages.body.model import JOINT_NAMES, PART_NAMES
from stages.generate.puppet.matte import erode
from stages.generate.puppet.parts import LAYERS, layer_of_vertex
from stages.generate.puppet.view import View, facing, smoothstep

CLASSES = (("torso",), ("head",), ("left_arm", "right_arm"), ("left_hand", "right_hand"),
           ("left_leg", "right_leg"), ("left_foot", "right_foot"))  # fmt: skip
"""Parts that may lend each other colours."""


SCRAP_SHARE = 0.1
UNLIKE = 70.0
"""Distance of two median colours (RGB, 0 to 255) above which they are not one cloth's."""


@dataclass
class Paint:
    """How `draw_mesh` colours each vertex."""

    uv: Float[np.ndarray, "vertices 2"]
    uv_mirror: Float[np.ndarray, "vertices 2"]
    share: Float[np.ndarray, "vertices 2"]
    fill: Float[np.ndarray, "vertices 3"]


def paint_mesh(view: View, colours: np.ndarray, alpha: np.ndarray, labels: np.ndarray, trusted: np.ndarray) -> Paint:
    """colours: the person's colour at every pixel. trusted (V): False for parts the photo does not show."""
    seen = visibility(view, alpha, labels) * trusted
    for segment in ("left_elbow", "right_elbow", "left_knee", "right_knee"):
        forget_scraps(seen, view.rig.body.weights[:, JOINT_NAMES.index(segment)] > 0.6)
    forget_what_is_held(view, colours, seen)
    mirror = mirror_vertices(view.rig.body.v_template)
    borrowed = seen[mirror] * smoothstep(0.5, 0.0, seen)
    borrowed *= _usual_cloth(view, colours, seen)[mirror]
    share = np.stack([seen, np.clip(borrowed, 0, 1 - seen)], 1)
    uv = view.points[:, :2]
    fill = fill_colours(view, colours, seen * well_inside(view, alpha, labels), seen)
    return Paint(
        np.ascontiguousarray(uv, np.float32),
        np.ascontiguousarray(uv[mirror], np.float32),
        share.astype(np.float32),
        fill.astype(np.float32),
    )


def forget_scraps(seen: np.ndarray, members: np.ndarray) -> None:
    """Set a forearm's or shin's few seen vertices to unseen: one plain sleeve is better than patches of a cuff."""
    if (seen[members] > 0.6).mean() < SCRAP_SHARE:
        seen[members] = 0.0


def forget_what_is_held(view: View, colours: np.ndarray, seen: np.ndarray) -> None:
    """Set a limb to unseen whose colour is neither its twin's nor the torso's: a helmet hides it, say.

    Without this the helmet's black and white are mirrored onto the other sleeve.
    """
    height, width = colours.shape[:2]
    x, y = view.points[:, 0].astype(int).clip(0, width - 1), view.points[:, 1].astype(int).clip(0, height - 1)
    part = view.rig.body.part

    def colour(*names: str) -> np.ndarray | None:
        rows = _members(part, names) & (seen > 0.6)
        return usual_colour(colours[y[rows], x[rows]]) if rows.sum() >= 40 else None

    torso = colour("torso")
    for limb in ("arm", "leg"):
        sides = [f"left_{limb}", f"right_{limb}"]
        own = [colour(name) for name in sides]
        if torso is None or own[0] is None or own[1] is None or np.linalg.norm(own[0] - own[1]) < UNLIKE:
            continue
        away = [float(np.linalg.norm(side - torso)) for side in own if side is not None]
        if max(away) > UNLIKE > min(away):
            seen[_members(part, (sides[int(np.argmax(away))],))] = 0.0


def visibility(view: View, alpha: np.ndarray, labels: np.ndarray) -> Float[np.ndarray, "vertices"]:
    """0 to 1: how well the photo shows each vertex's own surface."""
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


def well_inside(view: View, alpha: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Boolean (V): a centimetre inside the matte and the vertex's own part, where no other colour has strayed in."""
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
    view: View, colours: np.ndarray, sure: np.ndarray, seen: np.ndarray
) -> Float[np.ndarray, "vertices 3"]:
    """Colours of unseen vertices from seen ones of the same class, near in (|x|, y, 0.35 z) of the rest pose.

    The back of the head borrows from hair, not from the face; the neck from whatever is next to it. Mirror side and
    back share one key with the front. Shaded by a lamp at the camera's upper left; a hand without any seen vertex
    takes the face's median, and a class without any takes the whole person's. sure, seen (V): 0 to 1, strict and lax.
    """
    from scipy.spatial import KDTree

    rest = view.rig.template * np.array([1, 1, 0.35], np.float32)
    rest[:, 0] = np.abs(rest[:, 0])
    height, width = colours.shape[:2]
    x = view.points[:, 0].astype(int).clip(0, width - 1)
    y = view.points[:, 1].astype(int).clip(0, height - 1)
    smooth = cv2.GaussianBlur(colours, (0, 0), max(1.0, 0.6 * view.centimetre_px))
    direct = smooth[y, x].astype(np.float32)
    good = sure > 0.6
    fill = np.empty_like(direct)
    everyone = np.median(direct[good], 0) if good.any() else np.full(3, 128.0, np.float32)
    head = good & view.rig.body.sets["face_skin"]
    skin = np.median(direct[head], 0) if head.any() else everyone
    part, face = view.rig.body.part, view.rig.body.sets["face_skin"]
    neck = view.rig.body.weights[:, JOINT_NAMES.index("neck")] > 0.4
    groups = [(_members(part, names), _members(part, names), names[0]) for names in CLASSES]
    groups.append((_members(part, ("head",)) & ~face, _members(part, ("head",)) & ~face, "hair"))
    groups.append((neck & ~face, _members(part, ("head", "torso")) & (seen > 0.3), "neck"))
    for members, lenders, name in groups:
        sources = np.flatnonzero(lenders & (good if name != "neck" else seen > 0.3))
        if len(sources) < 12:
            if name not in ("hair", "neck"):
                fill[members] = skin if name.endswith(("hand", "foot", "head")) else everyone
            continue
        count = min({"torso": 120, "left_arm": 40, "left_leg": 40}.get(name, 12), len(sources))
        distance, nearest = KDTree(rest[sources]).query(rest[members], k=count)
        weight = 1.0 / (distance + 0.01)
        if name == "torso":  # far from anything seen, the cloth's usual colour
            far = np.clip((distance[:, :1] - 0.01) / 0.04, 0, 1)
            weight *= (distance + 0.01) ** (far - 1) * _commonness(direct[sources])[nearest] ** far
        weight /= weight.sum(1, keepdims=True)
        fill[members] = (direct[sources[nearest]] * weight[..., None]).sum(1)
    lamp = np.array([-0.3, -0.6, -0.74], np.float32)
    shade = 0.84 + 0.20 * np.clip(view.normals @ lamp, 0, 1)
    return np.clip(fill * shade[:, None], 0, 255)


def usual_colour(colours: np.ndarray) -> Float[np.ndarray, "3"]:
    """The colour (0 to 255) with most others near it: a median mixes an orange suit with a black helmet to brown."""
    some = colours[:: max(1, len(colours) // 400)].astype(np.float32)
    near = np.exp(-((np.linalg.norm(some[:, None] - some[None], axis=2) / UNLIKE) ** 2))
    weight = near[int(near.sum(1).argmax())]
    return (some * weight[:, None]).sum(0) / weight.sum()


def _usual_cloth(view: View, colours: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Boolean (V): False on the torso where the photo shows straps and badges, which have no twin on the other side."""
    height, width = colours.shape[:2]
    x, y = view.points[:, 0].astype(int).clip(0, width - 1), view.points[:, 1].astype(int).clip(0, height - 1)
    torso = np.flatnonzero(_members(view.rig.body.part, ("torso",)))
    usual = np.ones(len(x), bool)
    shown = torso[seen[torso] > 0.6]
    if len(shown) >= 40:
        own = colours[y[torso], x[torso]].astype(np.float32)
        away = np.linalg.norm(own - usual_colour(colours[y[shown], x[shown]]), axis=1)
        usual[torso] = away < UNLIKE
    return usual


def _commonness(colours: Float[np.ndarray, "sources 3"]) -> Float[np.ndarray, "sources"]:
    """1 for the cloth's usual colour, towards 0.02 for straps and badges on it."""
    away = np.linalg.norm(colours - usual_colour(colours), axis=1)
    return 0.02 + 0.98 * np.exp(-((away / UNLIKE) ** 2))


def _members(part: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    return np.isin(part, [PART_NAMES.index(name) for name in names])


def shown_parts(view: View, alpha: np.ndarray, valid_hands: tuple[bool, bool]) -> np.ndarray:
    """Boolean (V): vertices of parts that lie inside the matte (at least 60 %) and, for hands, were measured."""
    height, width = alpha.shape
    inner = erode(alpha > 0.3, 0)
    x, y = view.points[:, 0].astype(int), view.points[:, 1].astype(int)
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    inside = within & inner[y.clip(0, height - 1), x.clip(0, width - 1)]
    rows = layer_of_vertex(view)
    shown = np.ones(len(rows), bool)
    for row, name in enumerate(LAYERS):
        members = rows == row
        framed = members & within
        unmeasured = name.endswith("hand") and not valid_hands[name.startswith("right")]
        if unmeasured or framed.sum() < 10 or inside[framed].mean() < 0.6:
            shown[members] = name in ("torso", "head")
    return shown
