"""Hair that hangs from the head over neck, shoulders and trunk: found by its colour, moved by the head.

The body model has a bald head. What hangs beside and below it lies over the meshes of trunk and arms, and would stay
with them when the head turns.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.model import JOINT_NAMES
from stages.generate.puppet.matte import fill_pinholes
from stages.generate.puppet.parts import LAYERS, layer_of_face
from stages.generate.puppet.texture import LUMA
from stages.generate.puppet.view import View
from stages.raster.masks import dilate, erode, keep_touching, without_thin

BINS = 24
NECK = JOINT_NAMES.index("neck")
FOREARMS = [JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("elbow", "wrist")]
CHEST_CM = 18.0
"""Below the neck by this much begins the chest, which hair may cover but not all of it."""
THIN_CM = 1.0
"""Hair is at least twice this wide where it leaves the head; a seam or a shadow on a dark shirt is thinner."""
REACH_CM = 80.0
"""Hair hangs at most this far from the head."""
LIKE = 0.5
"""Share of hair among all pixels of a colour from which a pixel of this colour is hair."""
ROUNDS = 3
FEWEST = 60
"""With fewer pixels of hair above the face the person is bald, or wears a hat."""
MOST_SKIN = 0.5
"""With more of the face in the hair's colour the person is bald, or the two cannot be told apart: 0.04 to 0.36 on
twelve photos with hair, 0.62 on a bald head. Chosen here."""
MOST_CLOTH = 0.7
"""Hair never is more than this share of all that the photo shows below the head; a dark shirt would be."""
STRAND_CM = 0.3
"""Strands of hair are lines up to this wide, lighter or darker than what lies beside them; a shadow is not."""
ROUGHER = 2.0
"""In a photo where hair is not this much rougher than the face, a neck in shadow is not told from hair."""
SMOOTH = 0.01
"""Share of its light by which even skin without any texture varies, from whole numbers alone."""
LEAST_LIGHT = 10.0
"""Darker pixels (0 to 255) have no hue, and noise for strands."""
OTHER_HUE = 0.45
"""Distance of two colours over their brightness, above which they are not one skin in light and shadow."""
NECK_CM = 4.0
"""The neck that the photo shows lies at most this far from the fitted one."""
MOST_AREA = 6.0
"""More than this many times the head's area is not hair but cloth of its colour."""


def hanging_hair(
    view: View,
    alpha: Float[np.ndarray, "height width"],
    labels: Int[np.ndarray, "height width"],
    face: Bool[np.ndarray, "height width"],
) -> Bool[np.ndarray, "height width"]:
    """Pixels of hair that `labels` (rows of LAYERS) give to other parts than the head. face: the face's oval.

    Hair is what has the colour of the hair above the face rather than that of skin and clothes, and hangs together
    with it through such hair, not through the face. Nothing where no face was found.
    """
    head = list(LAYERS).index("head")
    nothing = np.zeros(labels.shape, bool)
    if not face.any():
        return nothing
    cm = view.centimetre_px
    person = alpha > 0.9
    brow = np.percentile(np.nonzero(face)[0], 35)
    above = (np.arange(len(labels)) < brow)[:, None]
    known = (labels == head) & person & above & ~dilate(face, 0.8 * cm) & view.inside
    rows = np.where(view.fragments.face >= 0, layer_of_face(view)[view.fragments.face], -1)
    reach = dilate(rows == head, REACH_CM * cm) if (rows == head).any() else nothing
    if known.sum() < FEWEST or not reach.any():
        return nothing
    bins = _bins(view.photo)
    cloth = person & (labels != head) & (labels >= 0) & view.inside
    neck = view.rig.body.weights[:, NECK][view.rig.body.faces].mean(1) > 0.4
    throat = np.where(view.fragments.face >= 0, neck[view.fragments.face], False)
    middle = erode(throat, 1.5 * cm)
    neck = smooth_neck(view, throat, middle, face, known)
    skin = _histogram(bins[erode(face, 0.5 * cm)])
    fore = view.rig.body.weights[:, FOREARMS].sum(1)[view.rig.body.faces].mean(1) > 0.5
    arms = dilate(np.where(view.fragments.face >= 0, fore[view.fragments.face], False), 3 * cm)
    allowed = (alpha > 0.3) & reach & ~(face | middle | neck | arms)
    joint = view.transforms[NECK, :, :3] @ view.rig.rest_joints[NECK] + view.transforms[NECK, :, 3]
    level = float((view.K @ joint)[1] / joint[2]) + CHEST_CM * cm
    chest = cloth & (rows == list(LAYERS).index("torso")) & (np.arange(len(labels)) > level)[:, None]
    found = nothing
    others = [cloth & ~neck, *((labels == list(LAYERS).index(name)) & ~neck for name in ("left_arm", "right_arm"))]
    for _ in range(ROUNDS):  # hair in shadow is known once the hair beside it is
        hair, other = (
            _histogram(bins[known | found]),
            skin + _usual_of_any(bins, [cloth & ~found & area for area in others]),
        )
        share = hair / np.maximum(hair + 0.5 * other, 1e-9)
        if (share[bins[erode(face, 0.5 * cm)]] > LIKE).mean() > MOST_SKIN:
            break
        like = cv2.blur(share[bins].astype(np.float32), (2 * round(0.4 * cm) + 1,) * 2) > LIKE
        if chest.any() and like[chest].mean() > LIKE:  # a shirt of the hair's colour
            break
        grown = fill_pinholes(erode(dilate((like & allowed) | (labels == head), cm), cm), int((4 * cm) ** 2)) & allowed
        on_head = like & (labels == head) & ~dilate(face, 0.5 * cm)
        grown &= without_thin(grown | (labels == head), THIN_CM * cm)
        grown = keep_touching(grown | on_head, known) & (labels != head)
        if (grown & cloth).sum() > MOST_CLOTH * cloth.sum():
            break
        found = grown
    return found if found.sum() < MOST_AREA * (labels == head)[person].sum() else nothing


def smooth_neck(
    view: View,
    neck: Bool[np.ndarray, "height width"],
    middle: Bool[np.ndarray, "height width"],
    face: Bool[np.ndarray, "height width"],
    hair: Bool[np.ndarray, "height width"],
) -> Bool[np.ndarray, "height width"]:
    """The neck's skin, told from hair by its smoothness: in shadow it has the colour of brown hair.

    neck, middle, face, hair: pixels of the fitted neck, of its middle, of the face and of hair that is known. The skin
    hangs together with the middle or the face and has the face's hue. Nothing where hair is as smooth as skin.
    """
    cm = view.centimetre_px
    near = dilate(neck, NECK_CM * cm)
    skin, found = erode(face, 0.5 * cm), np.zeros(neck.shape, bool)
    if skin.sum() < FEWEST:
        return found
    rows, columns = (np.flatnonzero((near | skin | hair).any(axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    light = cv2.GaussianBlur((view.photo[part].astype(np.float32) @ LUMA).astype(np.float32), (0, 0), 1.0)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(STRAND_CM * cm)) + 1,) * 2)
    lines = cv2.morphologyEx(light, cv2.MORPH_TOPHAT, disc) + cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, disc)
    around = cv2.GaussianBlur(light, (0, 0), 0.4 * cm)
    rough = cv2.GaussianBlur(lines, (0, 0), 0.4 * cm) / np.maximum(around, LEAST_LIGHT)
    usual = max(float(np.median(rough[skin[part]])), SMOOTH), float(np.median(rough[hair[part]]))
    if usual[1] < ROUGHER * usual[0]:
        return found
    colours = cv2.GaussianBlur(view.photo[part], (0, 0), 0.3 * cm).astype(np.float32)
    hue = colours / np.maximum(colours @ LUMA, 1.0)[..., None]
    unlike = np.linalg.norm(hue - np.median(hue[skin[part]], axis=0), axis=-1)
    smooth = (rough < np.sqrt(usual[0] * usual[1])) & (unlike < OTHER_HUE) & (around > LEAST_LIGHT)
    found[part] = smooth & near[part]
    return keep_touching(found | face | middle, face | middle) & found


def _bins(rgb: np.ndarray) -> Int[np.ndarray, "height width"]:
    """The number of each pixel's colour among BINS**3 in CIE Lab, after a blur against noise."""
    colours = cv2.cvtColor(cv2.GaussianBlur(rgb, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(int) * BINS // 256
    return (colours[..., 0] * BINS + colours[..., 1]) * BINS + colours[..., 2]


def _usual_of_any(bins: np.ndarray, areas: list[Bool[np.ndarray, "height width"]]) -> Float[np.ndarray, "bins"]:
    """Share of each colour in the area where it is most common: bare arms are no hair, however large the clothes."""
    return np.max([_histogram(bins[area]) for area in areas], axis=0)


def _histogram(bins: np.ndarray) -> Float[np.ndarray, "bins"]:
    """Share of each colour, smoothed over neighbouring colours."""
    from scipy.ndimage import gaussian_filter

    count = np.bincount(bins, minlength=BINS**3).astype(float).reshape(BINS, BINS, BINS)
    return gaussian_filter(count / max(count.sum(), 1.0), (2.0, 1.0, 1.0)).ravel()
