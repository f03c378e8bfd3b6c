"""Assign each pixel of the person to a part: regions from the mesh grow up to edges in the photo."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.camera import project
from stages.body.model import PART_NAMES
from stages.generate.puppet.nearest import nearest_marked
from stages.generate.puppet.view import View
from stages.raster.masks import dilate, erode

LAYERS = {
    "torso": ("torso",),
    "head": ("head",),
    "left_arm": ("left_arm",),
    "right_arm": ("right_arm",),
    "left_leg": ("left_leg", "left_foot"),
    "right_leg": ("right_leg", "right_foot"),
    "left_hand": ("left_hand",),
    "right_hand": ("right_hand",),
}
"""Layer -> body parts. A layer moves with the surface of its own parts only."""


SCRAP = 0.04
"""A piece of a part with a smaller share of the area of its largest piece is a mistake."""
SLIVER_CM2 = 10.0
"""A part that the mesh shows less of is hidden: it would grow over dark hair. A whole hand has 60 to 190, the least of
sixteen photos 15; slivers of hidden parts had 0 to 7."""
NECK_CM = 3.0
SHOULDER_CM = 0.7
"""In plain cloth a watershed's border between arm and trunk has teeth; it is smoothed by a Gaussian of this sigma."""
HAND_CM = 2.5
"""A hand's pixels lie at most this far from its mesh."""


def layer_of_vertex(view: View) -> Int[np.ndarray, "vertices"]:
    """Row in LAYERS of each vertex."""
    body = view.rig.body
    layer_of_part = np.zeros(len(PART_NAMES), np.int32)
    for row, parts in enumerate(LAYERS.values()):
        layer_of_part[[PART_NAMES.index(part) for part in parts]] = row
    return layer_of_part[body.part]


def layer_of_face(view: View) -> Int[np.ndarray, "faces"]:
    """Row in LAYERS of each triangle: the majority of its corners."""
    corners = layer_of_vertex(view)[view.rig.body.faces]
    return np.where(corners[:, 1] == corners[:, 2], corners[:, 1], corners[:, 0])


def pixels_of_parts(view: View, *parts: str) -> Bool[np.ndarray, "height width"]:
    """Mask of the photo's pixels where the fitted mesh shows one of these parts."""
    faces = np.all(view.rig.body.part_vertices(*parts)[view.rig.body.faces], 1)
    covering = view.crop(view.fragments.face)
    return np.where(covering >= 0, faces[covering], False)


def label_pixels(
    view: View,
    alpha: Float[np.ndarray, "height width"],
    hands: tuple[bool, bool],
    face_area: Bool[np.ndarray, "height width"],
) -> Int[np.ndarray, "height width"]:
    """Row in LAYERS of every pixel (Meyer's watershed); outside the matte, the row of the nearest pixel inside it.

    hands: whether left and right hand are separate layers, because they are measured or will move. Otherwise their
    pixels belong to the arm, for example a helmet held in front of the hand. face_area: pixels that belong to the
    head and not to the torso, whatever the fitted mesh says: the face that was found in the photo.
    """
    face = view.fragments.face
    rows = layer_of_face(view)
    for separate, side in zip(hands, ("left", "right"), strict=True):
        if not separate:
            rows[rows == list(LAYERS).index(f"{side}_hand")] = list(LAYERS).index(f"{side}_arm")
    covered = np.where(face >= 0, rows[face], -1)
    person = alpha > 0.5
    seeds = np.zeros(face.shape, np.int32)
    for row in range(len(LAYERS)):
        mask = (covered == row) & person
        if mask.sum() < SLIVER_CM2 * view.centimetre_px**2 and (covered != row)[person].any():
            continue
        core = erode(mask, 1.5 * view.centimetre_px)
        seeds[core if core.sum() > 9 else mask] = row + 1
    if not seeds.any():
        return np.zeros(face.shape, np.int32)
    outside = len(LAYERS) + 1
    seeds[alpha < 0.02] = outside
    grown = cv2.watershed(np.ascontiguousarray(view.photo[..., ::-1]), seeds.copy())
    labels = _fill_unlabelled(np.where((grown > 0) & (grown < outside), grown, 0), person) - 1
    torso, head = list(LAYERS).index("torso"), list(LAYERS).index("head")
    labels[(face_area | beside_head(view, covered)) & (labels == torso)] = head
    labels = smooth_shoulders(labels, person, SHOULDER_CM * view.centimetre_px)
    return without_scraps(_free_of_hands(labels, covered, HAND_CM * view.centimetre_px), person)


def smooth_shoulders(
    labels: Int[np.ndarray, "height width"], person: Bool[np.ndarray, "height width"], sigma: float
) -> Int[np.ndarray, "height width"]:
    """The labels with smooth borders between arms and trunk: to each pixel what most of its neighbours of both are.

    A straight border stays where it is. sigma: of the Gaussian that weighs the neighbours, in pixels.
    """
    rows = [list(LAYERS).index(name) for name in ("torso", "left_arm", "right_arm")]
    shares = [cv2.GaussianBlur((person & (labels == row)).astype(np.float32), (0, 0), sigma) for row in rows]
    return np.where(person & np.isin(labels, rows), np.array(rows)[np.argmax(shares, axis=0)], labels)


def without_scraps(
    labels: Int[np.ndarray, "height width"], person: Bool[np.ndarray, "height width"]
) -> Int[np.ndarray, "height width"]:
    """The labels, with every piece that is small beside the largest of its part given to the nearest other part.

    A speck of an arm on a neck would leave the neck with the arm.
    """
    scraps = np.zeros(labels.shape, bool)
    for row in range(len(LAYERS)):
        mask = (labels == row) & person
        _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA]
        small = areas < SCRAP * areas[1:].max(initial=0)
        small[0] = False
        scraps |= small[np.asarray(pieces, int)]
    if not scraps.any() or not (person & ~scraps).any():
        return labels
    _, rows, columns = nearest_marked(person & ~scraps)
    return np.where(scraps, labels[rows, columns], labels)


def beside_head(view: View, covered: Int[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Pixels beside the mesh and above the neck's base by NECK_CM, along the neck: hair and hats, not the trunk's."""
    base, top = project(view.joints("neck", "head"), view.K)[:, :2]
    up = (top - base) / max(float(np.linalg.norm(top - base)), 1e-6)
    y, x = np.mgrid[: covered.shape[0], : covered.shape[1]]
    return (covered < 0) & ((x - base[0]) * up[0] + (y - base[1]) * up[1] > NECK_CM * view.centimetre_px)


def _free_of_hands(labels: np.ndarray, covered: np.ndarray, reach: float) -> np.ndarray:
    """Give what is farther than `reach` from a hand's mesh, cloth or hair beside it, to the nearest other part.

    A hand whose mesh lies beside it in the photo is not given to its arm: it would stick out of the arm as a spike.
    """
    arms = [row for row, name in enumerate(LAYERS) if name.endswith("arm")]
    hands = [row for row, name in enumerate(LAYERS) if name.endswith("hand")]
    far = np.zeros(labels.shape, bool)
    for row in hands:
        far |= (labels == row) & ~dilate(covered == row, reach)
    others = ~np.isin(labels, hands)
    if not far.any() or not others.any():
        return labels
    _, rows, columns = nearest_marked(others)
    nearest = labels[rows, columns]
    return np.where(far & ~np.isin(nearest, arms), nearest, labels)


def _fill_unlabelled(labels: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Give unlabelled pixels (watershed lines, surroundings) the nearest label."""
    known = labels > 0
    if not known.any():
        return np.ones_like(labels)
    _, rows, columns = nearest_marked(known)
    return labels[rows, columns]
