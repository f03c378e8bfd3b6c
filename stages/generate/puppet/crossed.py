"""Arms that cross the trunk in the photo, or point at the camera, and will leave their place.

A dark sleeve over a dark jacket has no edge in the photo, hands lie on the other sleeve or under it, and the fitted
hands that are not seen lie somewhere. The mesh says which limb is before which, and the colours of the sleeve and of
the face's skin say what is a hand. A sheet of a crossed sleeve would tear when the elbow opens: it is drawn while the
arm is held as in the photo, and the mesh in other poses.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from stages.body.camera import project
from stages.body.model import JOINT_NAMES
from stages.generate.puppet.nearest import nearest_marked
from stages.generate.puppet.parts import LAYERS, layer_of_face
from stages.generate.puppet.texture import UNLIKE, UNLIKE_SKIN, apart, points_at_camera, unlike, usual_colour
from stages.generate.puppet.view import View
from stages.raster.masks import dilate, erode, keep_touching, without_thin
from stages.raster.rasterizer import rasterizer

SIDES = ("left", "right")
CROSSING = 0.06
"""Share of the trunk behind a forearm with its hand from which the arm crosses it: 0.09 to 0.19 on five photos with
crossed arms or an arm before the trunk, at most 0.04 on the others."""
FRAMED = 0.7
"""Less of a forearm with its hand inside the photo is a guess of the fit."""
HAND_CM = 12.0
"""What is no sleeve and lies this near to a fitted hand is a hand, a cuff or a watch."""
CUFF_CM = 6.0
"""The same before the trunk, which has white shirts of its own."""
EDGE_CM = 0.3
"""The colours at an outline are mixtures: what is thinner than twice this is nothing by itself."""
SHOULDER_CM = 1.5
"""Before the trunk, an upper arm reaches at most this far beside its mesh; a watershed runs up to the collar."""
SLEEVE_CM = 14.0
"""A sleeve reaches at most this far from the arm's mesh."""
SPIKE_CM = 2.0
"""What of the trunk beside its mesh is thinner than twice this, and touches an arm, is the arm's."""
SIDE_CM = 25.0
"""The trunk's outline is continued over gaps of up to twice this, behind both arms."""
LOOSE = 0.02
"""Less cloth beside the mesh, as a share of the trunk and legs that are shown, is no wide jacket."""
FEWEST = 60
"""With fewer pixels nothing is told of a colour."""


def crossing_arms(
    view: View,
    alpha: Float[np.ndarray, "height width"],
    face: Bool[np.ndarray, "height width"],
    moving: frozenset[str],
    hands: tuple[bool, bool] = (False, False),
) -> frozenset[str]:
    """The moving arms in sleeves whose forearm and hand hide CROSSING of the trunk in the photo or point at the camera.

    Bare arms have edges, and their sheets hold. face: pixels of the face; without it no arm is known to be sleeved.
    hands: whether left and right hand were measured; without a hand, a forearm's direction is a guess.
    """
    body = view.rig.body
    if _sleeve_and_skin(view, _smooth_photo(view), alpha, face) is None:
        return frozenset()
    trunk = _depth(view, body.part_vertices("torso"))
    shown = np.isfinite(trunk)
    found = []
    for side, measured in zip(SIDES, hands, strict=True):
        limb = _forearms(view, side) | body.part_vertices(f"{side}_hand")
        x, y = (view.points[limb, :2] - view.offset).T
        framed = (x >= 0) & (y >= 0) & (x < view.size[0]) & (y < view.size[1])
        before = _depth(view, limb)[shown] < trunk[shown]
        hides = shown.any() and before.mean() >= CROSSING
        points = measured and points_at_camera(view, f"{side}_elbow", f"{side}_wrist")
        if f"{side}_arm" in moving and framed.mean() > FRAMED and (hides or points):
            found.append(f"{side}_arm")
    return frozenset(found)


@dataclass(frozen=True)
class _Limbs:
    """Rows of LAYERS, and what the mesh shows at each pixel (a row, or -1): `under` is without the crossing hands."""

    arms: list[int]
    hands: list[int]
    trunk: list[int]
    mesh: Int[np.ndarray, "height width"]
    under: Int[np.ndarray, "height width"]
    forearm: Bool[np.ndarray, "height width"]
    """Whether `under` is a forearm."""


def label_crossed(
    view: View,
    alpha: Float[np.ndarray, "height width"],
    labels: Int[np.ndarray, "height width"],
    crossing: frozenset[str],
    face: Bool[np.ndarray, "height width"],
) -> Int[np.ndarray, "height width"]:
    """The labels (rows of LAYERS) with sleeves, hands and trunk told apart by their colours and the nearest mesh.

    face: pixels of the face in the photo.
    """
    told = _cloth_and_skin(view, alpha, face)
    limbs = _limbs(view, crossing)
    if told is None or not np.isin(limbs.under, limbs.arms).any():
        return labels
    person, cm = alpha > 0.5, view.centimetre_px
    labels = _hands_by_colour(labels, limbs, *told, person, face, cm)
    labels = _sleeves_by_mesh(labels, limbs, told[0], person, cm)
    return _without_spikes(labels, limbs, person, cm)


def _hands_by_colour(
    labels: np.ndarray, limbs: _Limbs, cloth: np.ndarray, skin: np.ndarray, person: np.ndarray, face: np.ndarray,
    cm: float,
) -> np.ndarray:  # fmt: skip
    """Sleeve under a fitted hand becomes what the mesh shows without it; hands and cuffs elsewhere become a hand."""
    out, on_hand = labels.copy(), np.isin(limbs.mesh, limbs.hands)
    if not on_hand.any():
        return out
    sleeve = np.isin(out, limbs.hands) & cloth & person
    out[sleeve] = _nearest(limbs.under, limbs.under >= 0)[sleeve]
    arms, trunk = np.isin(out, limbs.arms) & person, np.isin(out, limbs.trunk) & person
    found = arms & ~cloth & dilate(on_hand, HAND_CM * cm)
    near = dilate(on_hand | arms, CUFF_CM * cm)
    bare = trunk & skin
    neck = _touching(bare | (out == list(LAYERS).index("head")), face)
    found |= bare & near & ~neck
    hands = on_hand | (np.isin(out, limbs.hands) & person) | (bare & near & ~neck)
    found |= _small(trunk & ~cloth, (CUFF_CM * cm) ** 2, dilate(hands, CUFF_CM * cm))
    found = without_thin(found, EDGE_CM * cm) & found
    out[found] = _nearest(limbs.mesh, on_hand)[found]
    return out


def _sleeves_by_mesh(labels: np.ndarray, limbs: _Limbs, cloth: np.ndarray, person: np.ndarray, cm: float) -> np.ndarray:
    """Cloth beside the trunk's mesh and nearer to an arm becomes the arm's; the trunk's own shoulder, the trunk's."""
    out, trunk = labels.copy(), np.isin(limbs.mesh, limbs.trunk)
    to_arm, rows, columns = nearest_marked(np.isin(limbs.under, limbs.arms))
    to_trunk = nearest_marked(trunk)[0] if trunk.any() else np.full(to_arm.shape, np.inf)
    sleeve = np.isin(out, limbs.trunk) & ~trunk & person & cloth & (to_arm < np.minimum(to_trunk, SLEEVE_CM * cm))
    out[sleeve] = limbs.under[rows, columns][sleeve]
    torso = list(LAYERS).index("torso")
    shoulder = np.isin(out, limbs.arms) & (limbs.mesh == torso) & (to_arm > SHOULDER_CM * cm)
    out[shoulder & ~limbs.forearm[rows, columns]] = torso
    return out


def _without_spikes(labels: np.ndarray, limbs: _Limbs, person: np.ndarray, cm: float) -> np.ndarray:
    """What of the trunk beside its mesh is thin and touches an arm becomes the arm's."""
    out, trunk, mesh = labels.copy(), np.isin(labels, limbs.trunk) & person, np.isin(limbs.mesh, limbs.trunk)
    thick = without_thin(trunk | mesh, SPIKE_CM * cm)
    sleeve = np.isin(labels, limbs.arms) & person
    spikes = _touching(trunk & ~mesh & ~thick, dilate(sleeve, 2.0))
    out[spikes] = _nearest(labels, sleeve)[spikes]
    return out


def side_under(
    view: View,
    alpha: Float[np.ndarray, "height width"],
    labels: Int[np.ndarray, "height width"],
    covered: Bool[np.ndarray, "height width"],
) -> Bool[np.ndarray, "height width"]:
    """Pixels beside the trunk's mesh, between what is shown of its cloth above and below the arms.

    A jacket is wider than its body: by as much as beside the mesh elsewhere, no more. covered: the trunk's own mesh.
    """
    shown = covered | (np.isin(labels, _rows("torso", "leg")) & (alpha > 0.5) & view.inside)
    mesh = view.fragments.face >= 0
    beside = shown & ~mesh
    if beside.sum() < LOOSE * shown.sum():
        return np.zeros(labels.shape, bool)
    loose = float(np.percentile(nearest_marked(mesh)[0][beside], 90))
    radius = SIDE_CM * view.centimetre_px
    border = round(radius) + 1
    grown = dilate(np.pad(shown, border), radius)
    closed = ~dilate(~grown, radius)[border:-border, border:-border]
    level = project(view.joints("left_shoulder", "right_shoulder"), view.K)[:, 1].max()
    return closed & (alpha > 0.5) & (np.arange(len(labels)) > level)[:, None] & dilate(covered, loose)


def own_colours(
    view: View,
    colours: UInt8[np.ndarray, "height width 3"],
    alpha: Float[np.ndarray, "height width"],
    labels: Int[np.ndarray, "height width"],
    kind: str,
) -> UInt8[np.ndarray, "height width 3"]:
    """The colours with only both arms ("arm") or both hands ("hand") in them; elsewhere that of the nearest such pixel.

    Between a vertex that is seen and one that is not, the mesh would show what lies between them in the photo.
    """
    own = erode(np.isin(labels, _rows(kind)) & (alpha > 0.9), 0.2 * view.centimetre_px)
    if own.sum() < FEWEST:
        return colours
    _, rows, columns = nearest_marked(own)
    return np.ascontiguousarray(colours[rows, columns])


def arm_change(name: str, now: Float[np.ndarray, "55 3 4"], photo: Float[np.ndarray, "55 3 4"]) -> float:
    """Angle (radians) by which an upper arm or forearm is turned from where the photo shows it, seen from the chest.

    name: the layer of the arm, or of its hand.
    """
    side, chest = name.split("_")[0], JOINT_NAMES.index("spine3")
    joints = [JOINT_NAMES.index(f"{side}_{joint}") for joint in ("shoulder", "elbow")]
    turns = [frame[chest, :, :3].T @ frame[joints, :, :3] for frame in (now, photo)]
    trace = np.einsum("jab,jab->j", *turns)
    return float(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)).max())


def _cloth_and_skin(view: View, alpha: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Pixels that have the colour of the forearms' sleeves, and those that have the face's; None for bare arms."""
    photo = _smooth_photo(view)
    usual = _sleeve_and_skin(view, photo, alpha, face)
    if usual is None:
        return None
    away, bare = (apart(photo, colour) for colour in usual)
    return (away < UNLIKE) & (away < bare), (bare < UNLIKE_SKIN) & (bare < away)


def _smooth_photo(view: View) -> Float[np.ndarray, "height width 3"]:
    return cv2.GaussianBlur(view.photo, (0, 0), max(1.0, 0.15 * view.centimetre_px)).astype(np.float32)


def _sleeve_and_skin(
    view: View, photo: np.ndarray, alpha: np.ndarray, face: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The usual colours of the forearms' sleeves and of the face's skin; None for bare arms. photo: smoothed."""
    cm = view.centimetre_px
    person = alpha > 0.5
    forearms = np.all(_forearms(view)[view.rig.body.faces], 1)
    sleeve = np.where(view.fragments.face >= 0, forearms[view.fragments.face], False) & view.inside
    sleeve = erode(sleeve, 0.7 * cm) & person
    skin = erode(face, 0.5 * cm) & person
    if min(sleeve.sum(), skin.sum()) < FEWEST:
        return None
    usual = usual_colour(photo[sleeve]), usual_colour(photo[skin])
    return None if unlike(*usual) < UNLIKE_SKIN else usual


def _forearms(view: View, *sides: str) -> Bool[np.ndarray, "vertices"]:
    """The vertices of the forearms of these sides, or of both."""
    elbows = [JOINT_NAMES.index(f"{side}_elbow") for side in sides or SIDES]
    return view.rig.body.weights[:, elbows].max(1) > 0.5


def _depth(view: View, members: Bool[np.ndarray, "vertices"]) -> Float[np.ndarray, "height width"]:
    """Depth of these vertices' triangles inside the photo; infinite elsewhere."""
    height, width = view.photo.shape[:2]
    faces = view.rig.body.faces[members[view.rig.body.faces].all(1)]
    fragments = rasterizer("numba")(view.points, faces, width, height)
    return np.where((fragments.face >= 0) & view.inside, fragments.depth, np.inf)


def _rows(*kinds: str) -> list[int]:
    """The rows of LAYERS whose names end so."""
    return [row for row, name in enumerate(LAYERS) if name.endswith(kinds)]


def _limbs(view: View, crossing: frozenset[str]) -> _Limbs:
    faces = view.rig.body.faces
    hands = [list(LAYERS).index(name.replace("arm", "hand")) for name in sorted(crossing)]
    rows = layer_of_face(view)
    kept = ~np.isin(rows, hands)
    height, width = view.photo.shape[:2]
    drawn = rasterizer("numba")(view.points, faces[kept], width, height).face
    shown = view.fragments.face
    return _Limbs(
        _rows("arm"), hands, _rows("torso", "leg"),
        np.where(shown >= 0, rows[shown], -1), np.where(drawn >= 0, rows[kept][drawn], -1),
        (drawn >= 0) & np.any(_forearms(view)[faces], 1)[kept][drawn],
    )  # fmt: skip


def _touching(mask: Bool[np.ndarray, "height width"], seeds: Bool[np.ndarray, "height width"]) -> np.ndarray:
    """The connected components of `mask` that share a pixel with `seeds`; none without such a pixel."""
    return keep_touching(mask, seeds) if (mask & seeds).any() else np.zeros(mask.shape, bool)


def _small(mask: Bool[np.ndarray, "height width"], area: float, band: Bool[np.ndarray, "height width"]) -> np.ndarray:
    """The connected components of `mask` that lie inside `band` and have less than `area` pixels."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] < area
    pieces = np.asarray(pieces, int)
    kept[np.unique(pieces[~band])] = False
    kept[0] = False
    return kept[pieces]


def _nearest(values: np.ndarray, marked: Bool[np.ndarray, "height width"]) -> np.ndarray:
    """For every pixel the value of the nearest marked pixel; the values themselves where none is marked."""
    if not marked.any():
        return values
    _, rows, columns = nearest_marked(marked)
    return values[rows, columns]
