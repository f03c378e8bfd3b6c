"""Hair that hangs beside the head belongs to it."""

from __future__ import annotations

import numpy as np

from stages.generate.puppet.build import label_parts
from stages.generate.puppet.face import OVAL, face_area
from stages.generate.puppet.hair import hanging_hair
from stages.generate.puppet.layers import without_teeth
from stages.generate.puppet.parts import (
    LAYERS,
    beside_head,
    label_pixels,
    layer_of_face,
    smooth_shoulders,
    without_scraps,
)
from stages.generate.puppet.texture import unlike
from stages.generate.puppet.view import View, make_view
from tests.generate.conftest import Astronaut

HAIR, SKIN, CLOTH = (120, 60, 20), (220, 170, 150), (40, 60, 160)


def painted(astronaut: Astronaut, tresses: bool) -> tuple[View, np.ndarray, np.ndarray, np.ndarray]:
    """The astronaut in three plain colours, with or without hair down to the shoulders; matte, labels and face."""
    view = make_view(astronaut.rgb, astronaut.motion, astronaut.puppet.rig, astronaut.puppet.size)
    head, torso = (list(LAYERS).index(name) for name in ("head", "torso"))
    height, width = view.photo.shape[:2]
    skin = view.points[view.rig.body.sets["face_skin"], :2]
    ring = np.zeros((478, 2), np.float32)
    turn = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    ring[list(OVAL)] = skin.mean(0) + 0.4 * np.ptp(skin, axis=0) * np.stack([np.cos(turn), np.sin(turn)], 1)
    face = face_area(view, ring)
    centre = skin.mean(0)
    y, x = np.mgrid[:height, :width]
    cm = view.centimetre_px
    crown = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < (14 * cm) ** 2) & (y < centre[1] + 2 * cm)
    labels = np.where(y < centre[1] + 8 * cm, head, torso)
    labels[(y > centre[1]) & (np.abs(x - centre[0]) > 8 * cm)] = torso
    hanging = (np.abs(np.abs(x - centre[0]) - 11 * cm) < 2.5 * cm) & (y > centre[1]) & (y < centre[1] + 20 * cm)
    alpha = ((y > centre[1] + 9 * cm) | crown | face | (hanging if tresses else face)).astype(np.float32)
    photo = np.full((height, width, 3), CLOTH, np.uint8)
    photo[crown] = HAIR
    if tresses:
        photo[hanging] = HAIR
    photo[face] = SKIN
    view.photo = photo
    return view, alpha, labels, face


def test_hair_over_the_shoulders_is_the_heads_and_cloth_is_not(astronaut: Astronaut) -> None:
    """Two tresses that hang from the crown over the trunk are found, nine tenths of them; without them, nothing is."""
    view, alpha, labels, face = painted(astronaut, tresses=True)
    hair = np.all(view.photo == HAIR, -1) & (labels != list(LAYERS).index("head")) & (alpha > 0.9)
    found = hanging_hair(view, alpha, labels, face)
    assert hair.sum() > 200
    assert found[hair].mean() > 0.9
    assert (found & ~hair).sum() < 0.3 * hair.sum()
    view, alpha, labels, face = painted(astronaut, tresses=False)
    crown = np.all(view.photo == HAIR, -1)
    assert (hanging_hair(view, alpha, labels, face) & ~crown).mean() < 0.002


def test_without_a_face_no_hair_is_sought(astronaut: Astronaut) -> None:
    """Where no face was found the labels stay as they are."""
    view, alpha, _, face = painted(astronaut, tresses=True)
    _, hair = label_parts(view, alpha, (False, False), np.zeros_like(face))
    assert not hair.any()


def test_a_sleeve_in_shadow_is_like_the_other_and_a_black_helmet_is_not() -> None:
    """Red and dark red differ by less than 20 under one light; orange and black by more than 100."""
    assert unlike(np.array([222.0, 72, 65]), np.array([120.0, 38, 35])) < 20
    assert unlike(np.array([220.0, 105, 65]), np.array([5.0, 5, 5])) > 100


def test_what_stands_beside_the_head_above_the_neck_is_not_the_trunks(astronaut: Astronaut) -> None:
    """Pixels beside the mesh at the height of the face belong to the head's side, those beside the trunk do not."""
    puppet = astronaut.puppet
    view = make_view(astronaut.rgb, astronaut.motion, puppet.rig, puppet.size)
    covered = np.where(view.fragments.face >= 0, 0, -1)
    beside = beside_head(view, covered)
    face = view.points[view.rig.body.sets["face_skin"], 1]
    rows = np.arange(len(covered))
    assert beside[rows < face.mean()][covered[rows < face.mean()] < 0].all()
    assert not beside[rows > face.max() + 12 * view.centimetre_px].any()
    assert not beside[covered >= 0].any()


def test_specks_of_a_part_are_given_to_what_surrounds_them() -> None:
    """A speck of an arm on the trunk becomes trunk; two pieces of one arm, one a third of the other, stay."""
    torso, arm = (list(LAYERS).index(name) for name in ("torso", "left_arm"))
    labels = np.full((100, 100), torso)
    labels[10:40, 10:40] = labels[60:70, 10:40] = arm
    labels[80:83, 80:83] = arm
    found = without_scraps(labels, np.ones((100, 100), bool))
    assert (found[80:83, 80:83] == torso).all()
    assert (found[10:40, 10:40] == arm).all()
    assert (found[60:70, 10:40] == arm).all()


def test_a_sliver_of_a_hidden_part_does_not_grow(astronaut: Astronaut) -> None:
    """Of a leg of which the mesh shows a square of 2 cm no pixel is labelled; a square of 6 cm in its place is."""
    leg = list(LAYERS).index("left_leg")
    for side, kept in ((2, False), (6, True)):
        view, alpha, _, face = painted(astronaut, tresses=True)
        rows = layer_of_face(view)
        view.fragments.face[np.isin(view.fragments.face, np.flatnonzero(rows == leg))] = -1
        trunk = np.isin(view.fragments.face, np.flatnonzero(rows == list(LAYERS).index("torso")))
        y, x = (int(np.median(each)) for each in np.nonzero(trunk))
        square = np.s_[y : y + round(side * view.centimetre_px), x : x + round(side * view.centimetre_px)]
        view.fragments.face[square] = np.flatnonzero(rows == leg)[0]
        alpha[:] = np.maximum(alpha, view.fragments.face >= 0)
        assert (label_pixels(view, alpha, (True, True), face) == leg).any() == kept


def test_brown_arms_beside_brown_hair_are_no_hair(astronaut: Astronaut) -> None:
    """Bare arms nearly as brown as the tresses that touch them stay arms, though the dark dress is far larger."""
    view, alpha, labels, face = painted(astronaut, tresses=True)
    hair = np.all(view.photo == HAIR, -1) & (labels != list(LAYERS).index("head")) & (alpha > 0.9)
    centre, cm = view.points[view.rig.body.sets["face_skin"], :2].mean(0), view.centimetre_px
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    arm = (np.abs(np.abs(x - centre[0]) - 17 * cm) < 4 * cm) & (y > centre[1] + 14 * cm) & ~hair
    labels[arm] = list(LAYERS).index("left_arm")
    alpha[arm] = 1.0
    view.photo[arm] = (128, 72, 36)
    found = hanging_hair(view, alpha, labels, face)
    assert found[hair].mean() > 0.9
    assert found[arm].mean() < 0.1


def test_a_neck_in_shadow_is_no_hair_though_it_has_its_colour(astronaut: Astronaut) -> None:
    """Between two tresses of brown strands, a neck whose shadow is as brown as they are: it is smooth.

    Nine tenths of the tresses are found, and under a tenth of the shadow. Without its smoothness 95 % of it was hair.
    """
    view, alpha, labels, face = painted(astronaut, tresses=True)
    hair = np.all(view.photo == HAIR, -1) & (labels != list(LAYERS).index("head")) & (alpha > 0.9)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    strands = np.where((x // 2 % 2 == 0)[..., None], np.array((150, 85, 40)), np.array((90, 50, 20)))
    view.photo[:] = np.where(np.all(view.photo == HAIR, -1)[..., None], strands, view.photo)
    centre, cm = view.points[view.rig.body.sets["face_skin"], :2].mean(0), view.centimetre_px
    neck = (np.abs(x - centre[0]) < 8.5 * cm) & (y > centre[1] + 4 * cm) & (y < centre[1] + 17 * cm) & ~face
    light = np.clip(1.0 - (x - centre[0]) / (5 * cm), 0.54, 1.0)[..., None]
    view.photo[neck] = (light * np.array(SKIN) * np.array((1.0, 0.93, 0.85)) ** (light < 0.8)).astype(np.uint8)[neck]
    alpha[neck] = 1.0
    labels[neck] = list(LAYERS).index("torso")
    found = hanging_hair(view, alpha, labels, face)
    shadow = neck & (x > centre[0] + 3 * cm)
    assert found[hair].mean() > 0.9
    assert found[shadow].mean() < 0.1


def test_teeth_between_arm_and_trunk_go_and_a_straight_border_stays() -> None:
    """Teeth of 4 pixels become a straight border; a border that is straight keeps its place to a pixel."""
    torso, arm, head = (list(LAYERS).index(name) for name in ("torso", "left_arm", "head"))
    labels = np.full((120, 120), torso)
    labels[:, 60:] = arm
    labels[:20] = head
    comb = labels.copy()
    comb[20:][np.arange(100) // 4 % 2 == 0, 60:66] = torso
    person = np.ones(labels.shape, bool)
    assert (smooth_shoulders(labels, person, 6.0) == labels).all()
    smooth = smooth_shoulders(comb, person, 6.0)
    assert (smooth[:20] == head).all()
    border = (smooth[30:110] == torso).sum(1)
    assert (comb[30:110] == torso).sum(1).std() > 2
    assert border.std() < 0.6


def test_the_head_ends_at_the_neck_without_teeth() -> None:
    """Teeth of a centimetre at the edge of an area go, the area stays."""
    area = np.zeros((200, 200), bool)
    area[20:100, 20:180] = True
    comb = area.copy()
    comb[100:120, np.arange(200) // 10 % 2 == 0] = True
    comb[:, :20] = comb[:, 180:] = False
    smooth = without_teeth(comb, 10.0)
    assert not smooth[104:].any()
    assert smooth[24:96, 24:176].all()
    assert not (smooth & ~comb).any()
