"""Colours for surfaces that are not visible in the photo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.body.model import JOINT_NAMES
from stages.generate.puppet.face import shrink_cavity
from stages.generate.puppet.mouth import inner_colour
from stages.generate.puppet.nearest import nearest_marked
from stages.generate.puppet.parts import LAYERS
from stages.generate.puppet.texture import (
    SEEN_SHADE,
    bare_limbs,
    beside_jaw,
    clear_of_edges,
    continue_face,
    end_of_cloth,
    fill_colours,
    hide_covered_limbs,
    hide_things_on_hands,
    is_like,
    light_below_chin,
    lightening,
    lit_skin,
    mirror_vertices,
    shade_of,
    usual_colour,
)
from stages.generate.puppet.view import View, facing, make_rig, make_view, vertex_normals
from tests.generate.conftest import Astronaut

SLEEVE, SKIN = np.array([25.0, 25, 25]), np.array([220.0, 170, 150])


def test_usual_colour_is_not_a_mixture() -> None:
    """For an orange suit and a smaller black helmet the usual colour is orange, not the brown between them."""
    rng = np.random.default_rng(0)
    suit = np.array([220, 105, 65]) + rng.normal(0, 15, (80, 3))
    helmet = np.array([5, 5, 5]) + rng.normal(0, 3, (55, 3))
    colour = usual_colour(np.concatenate([suit, helmet]))
    assert np.linalg.norm(colour - [220, 105, 65]) < 15
    assert np.linalg.norm(np.median(np.concatenate([suit, helmet]), 0) - [220, 105, 65]) > 15


class _View(View):
    """The input of `hide_covered_limbs`: one point per vertex of the body, side by side in one row of pixels."""

    def __init__(self, body) -> None:
        side_by_side = np.stack([np.arange(len(body.part)), np.zeros(len(body.part))], 1)
        vars(self).update(points=side_by_side, rig=type("Rig", (), {"body": body}))


def test_a_limb_behind_a_held_object_is_hidden(body) -> None:
    """An arm behind a black helmet becomes unseen; two bare arms beside a shirt are both kept."""
    view = _View(body)
    left, right = (body.part_vertices(f"{side}_arm") for side in ("left", "right"))
    colours = np.full((1, len(body.part), 3), (220, 105, 65), np.uint8)
    seen = np.ones(len(body.part))
    colours[0, left] = (5, 5, 5)
    hide_covered_limbs(view, colours, seen)
    assert not seen[left].any()
    assert seen[~left].all()
    colours[0, left] = colours[0, right] = (190, 140, 110)
    colours[0, body.part_vertices("torso")] = (20, 30, 90)
    seen[:] = 1
    hide_covered_limbs(view, colours, seen)
    assert seen.all()


def test_light_from_the_left_is_found_on_the_face(astronaut: Astronaut) -> None:
    """A face of one colour under a lamp at the left: the colour within 10 %, and a left side lighter than a right."""
    puppet = astronaut.puppet
    view = make_view(astronaut.rgb, astronaut.motion, puppet.rig, puppet.size)
    skin, (height, width) = np.array([200.0, 150.0, 120.0]), view.photo.shape[:2]
    normal = np.zeros((height, width, 3))
    x, y = view.points[:, 0].astype(int).clip(0, width - 1), view.points[:, 1].astype(int).clip(0, height - 1)
    front = np.flatnonzero(view.rig.body.sets["face_skin"] & (facing(view) > 0.1))
    normal[y[front], x[front]] = view.normals[front]
    _, rows, columns = nearest_marked(np.asarray(np.abs(normal).any(-1)))
    shade = 0.75 + normal[rows, columns] @ np.array([-0.25, 0.0, -0.25])
    colours = np.clip(skin * shade[..., None], 0, 255).astype(np.uint8)
    lit, light = lit_skin(view, colours, (facing(view) > 0.1).astype(float))
    assert lit is not None
    assert np.abs(lit / skin - 1).max() < 0.1
    left, right = shade_of(light, np.array([[-0.7, 0.0, -0.7], [0.7, 0.0, -0.7]]))
    assert left > right + 0.15


def test_unseen_skin_of_the_face_grows_from_its_own_edge(astronaut: Astronaut) -> None:
    """A seen left half that is light but for its edge in shadow: the unseen right half is as dark as that edge."""
    puppet = astronaut.puppet
    view = make_view(astronaut.rgb, astronaut.motion, puppet.rig, puppet.size)
    left = view.rig.template[:, 0] > 0.005
    mirror = mirror_vertices(view.rig.body.v_template)
    colours = np.full((*view.photo.shape[:2], 3), 200, np.uint8)
    middle, near = int(np.median(view.points[view.rig.body.sets["lips"], 0])), round(2 * view.centimetre_px)
    colours[:, middle - near : middle + near] = 60
    fill = np.zeros((len(left), 3), np.float32)
    like = continue_face(view, colours, (left & (facing(view) > 0.1)).astype(float), mirror, fill)
    unseen = view.rig.body.sets["face_skin"] & ~left & (np.abs(view.normals[:, 1]) < 0.1)
    assert np.median(fill[unseen]) < 90
    assert like[~view.rig.body.sets["face_skin"]].min() == 1


def test_skin_below_the_chin_is_as_dark_as_the_neck(astronaut: Astronaut) -> None:
    """The unseen skin beside the jaw that looks down is as dark as a neck in deep shadow below a light face."""
    puppet = astronaut.puppet
    view = make_view(astronaut.rgb, astronaut.motion, puppet.rig, puppet.size)
    body = view.rig.body
    neck = (body.weights[:, JOINT_NAMES.index("neck")] > 0.4) & ~body.sets["face_skin"]
    seen = ((body.sets["face_skin"] & (view.normals[:, 1] < 0.4)) | neck) * (facing(view) > 0.2)
    jaw = beside_jaw(view) & body.part_vertices("head")
    under, side = jaw & (view.normals[:, 1] > 0.8), jaw & (view.normals[:, 1] < 0.1)
    rows = -(-len(seen) // 100)
    view.points[:, :2] = 25 * np.stack([np.arange(len(seen)) % 100, np.arange(len(seen)) // 100], 1) + 12
    throat = np.where(neck[:, None], 0.4 * SKIN, SKIN)
    own = np.resize(throat, (rows * 100, 3)).reshape(rows, 100, 3)  # every vertex in a square of its own
    picture = np.kron(own, np.ones((25, 25, 1))).astype(np.uint8)
    fill, _ = fill_colours(view, picture, seen, seen, SKIN, np.ones(picture.shape[:2]), np.zeros(len(seen), bool))
    assert fill[under].mean() == pytest.approx(0.4 * SKIN.mean(), rel=0.1)
    assert fill[side].mean() > 0.7 * SKIN.mean()
    light = light_below_chin(view, np.tile(SKIN, (len(seen), 1)), seen, float(SKIN @ [0.299, 0.587, 0.114]))
    assert light.min() > 0.99
    assert light_below_chin(view, throat, 0 * seen, 200.0)[under].max() == pytest.approx(0.6)


def test_hair_over_the_face_is_no_skin() -> None:
    """Skin in light and in shadow is like the usual skin; black hair and a blue shirt are not."""
    skin = np.array([210.0, 170.0, 150.0])
    colours = np.stack([0.5 * skin, 1.1 * skin, np.array([45.0, 35, 30]), np.array([120.0, 130, 190])])
    assert is_like(colours, skin, 45.0).tolist() == [True, True, False, False]


def test_a_hidden_trunk_takes_the_colour_of_the_cloth_before_it(astronaut: Astronaut) -> None:
    """Without one visible vertex of the trunk its fill is the orange of the suit, not the colour of the face."""
    view = make_view(astronaut.rgb, astronaut.motion, astronaut.puppet.rig, astronaut.puppet.size)
    colours = view.photo.copy()
    covering = view.fragments.face
    trunk = view.rig.body.part_vertices("torso", "left_arm", "right_arm")[view.rig.body.faces[covering]].all(-1)
    colours[trunk & (covering >= 0)] = (220, 105, 65)
    nothing = np.zeros(len(view.points))
    fill, _ = fill_colours(view, colours, nothing, nothing, None, np.ones(covering.shape), nothing > 0)
    found = fill[view.rig.body.part_vertices("torso")]
    assert np.abs(found / found.max(1, keepdims=True) - np.array([220, 105, 65]) / 220).max() < 0.1


def test_the_inside_of_the_mouth_stays_behind_the_lips(astronaut: Astronaut) -> None:
    """Cavity and tongue reach no farther to the sides than the lips by a fifth, and 5 cm back at most."""
    view = make_view(astronaut.rgb, astronaut.motion, make_rig(astronaut.puppet.rig.body, astronaut.motion), (256, 256))
    sets = view.rig.body.sets
    inside = sets["mouth_cavity"] | sets["tongue"]
    assert np.ptp(view.rig.template[inside, 0]) > 1.5 * np.ptp(view.rig.template[sets["lips"], 0])
    shrink_cavity(view)
    lips = view.rig.template[sets["lips"]]
    assert np.ptp(view.rig.template[inside, 0]) < 1.25 * np.ptp(lips[:, 0])
    assert lips[:, 2].mean() - view.rig.template[inside, 2].min() < 0.05


def test_hands_in_the_faces_shadow_are_lightened_and_gloves_are_not() -> None:
    """Skin at half the face's light comes near it; black gloves stay; hands as light as the face stay."""
    lit = np.array([210.0, 170.0, 150.0])
    hands = np.repeat(lit[None], 50, 0)
    assert 1.7 < lightening(0.5 * hands, lit) < 2.1
    assert lightening(hands, lit) == 1.0
    assert lightening(np.full((50, 3), 20.0), lit) == 1.0


def test_limbs_are_shaded_by_the_pose_and_the_face_is_not(astronaut: Astronaut) -> None:
    """Turned by 180 degrees under a lamp from above, the fill of an arm changes, that of the face does not."""
    puppet = astronaut.puppet
    body = puppet.rig.body
    paint = replace(puppet.paint, light=np.array([0.7, 0.0, -0.4, 0.0]))
    vertices = puppet.rig.template
    upright, upside_down = (paint.shaded(vertices * np.array(turn), body.faces) for turn in ([1, 1, 1], [1, -1, -1]))
    changed = np.abs(upright - upside_down).max(1)
    assert changed[body.part_vertices("left_arm")].mean() > 5
    assert changed[body.sets["face_skin"]].max() == 0


def test_texture_ends_before_the_outline_of_a_limb(astronaut: Astronaut) -> None:
    """At the outline of arms and trunk the photo's texture is off, 1.5 cm inside it is whole; the head keeps it."""
    view = make_view(astronaut.rgb, astronaut.motion, astronaut.puppet.rig, astronaut.puppet.size)
    height, width = view.photo.shape[:2]
    labels = np.full((height, width), list(LAYERS).index("torso"))
    alpha = np.zeros((height, width))
    edge = height // 2
    alpha[edge:] = 1.0
    clear = clear_of_edges(view, alpha, labels)
    depth = (view.points[:, 1] - edge) / view.centimetre_px
    framed = (view.points[:, 0] > 0) & (view.points[:, 0] < width) & (view.points[:, 1] < height - 1)
    torso = view.rig.body.part_vertices("torso") & framed
    assert clear[torso & (depth < 0.2)].max() < 0.05
    assert clear[torso & (depth > 1.5)].min() > 0.95
    assert clear[view.rig.body.part_vertices("head")].min() == 1.0


def test_skin_beside_the_jaw_is_not_hair(astronaut: Astronaut) -> None:
    """Vertices below the eyes and before the ears' back are the jaw's; crown and nape are not."""
    rig = make_rig(astronaut.puppet.rig.body, astronaut.motion)
    view = make_view(astronaut.rgb, astronaut.motion, rig, (256, 256))
    jaw, head = beside_jaw(view), rig.body.part_vertices("head")
    crown = head & (rig.template[:, 1] > rig.template[rig.body.sets["face_skin"], 1].max() - 0.01)
    nape = head & (rig.template[:, 2] < rig.template[head, 2].min() + 0.03)
    assert (jaw & head).sum() > 100
    assert not jaw[crown].any()
    assert not jaw[nape].any()
    assert not jaw[rig.body.sets["face_skin"]].any()


def test_the_mouth_of_a_grey_photo_is_grey() -> None:
    """The inside of a mouth is red under coloured skin, and without colour where the skin has none."""
    red, grey = inner_colour("tongue", np.array([210.0, 170, 150])), inner_colour("tongue", np.full(3, 150.0))
    assert red[0] > 2 * red[1]
    assert np.ptp(grey) < 1e-3


def test_cloth_ends_where_skin_begins() -> None:
    """The end lies between the last cloth and the first skin; one wrong point does not move it; a mixture has none."""
    along = np.linspace(0, 1, 50)
    short = along > 0.3
    assert end_of_cloth(along, short) == pytest.approx(0.3, abs=0.02)
    spotted = short.copy()
    spotted[[2, 40]] ^= True
    assert end_of_cloth(along, spotted) == pytest.approx(0.3, abs=0.02)
    assert end_of_cloth(along, np.ones(50, bool)) == -np.inf
    assert end_of_cloth(along, np.zeros(50, bool)) == np.inf
    assert end_of_cloth(along, np.arange(50) % 2 == 0) is None
    assert end_of_cloth(along[:10], short[:10]) is None


def in_short_sleeves(astronaut: Astronaut) -> tuple[View, np.ndarray, np.ndarray, np.ndarray]:
    """Everyone's view of a person in a black shirt whose sleeves end at half the upper arm, drawn flat.

    Returns the view, the picture, who is seen (the front of all but the right arm's lower half) and who is skin.
    """
    view = make_view(astronaut.rgb, astronaut.motion, astronaut.puppet.rig, (384, 384))
    body, rest = view.rig.body, view.rig.template
    arms = body.part_vertices("left_arm", "right_arm")
    elbow = abs(float(view.rig.rest_joints[18, 0]))
    shoulder = abs(float(view.rig.rest_joints[16, 0]))
    naked = (arms & (np.abs(rest[:, 0]) > (elbow + shoulder) / 2)) | body.part_vertices(
        "left_hand", "right_hand", "head"
    )
    view.points[:, 0] = 192 + 200 * rest[:, 0]
    view.points[:, 1] = 250 - 200 * (rest[:, 1] - rest[:, 1].mean())
    x, y = view.points[:, 0].astype(int).clip(0, 383), view.points[:, 1].astype(int).clip(0, 383)
    at = np.full((384, 384), -1)
    at[y, x] = naked
    _, rows, columns = nearest_marked(at >= 0)
    colours = np.where(at[rows, columns][..., None] == 1, SKIN, SLEEVE).astype(np.uint8)
    front = (vertex_normals(rest, body.faces)[:, 2] > 0.3).astype(float)
    front[arms & naked & (rest[:, 0] < 0)] = 0.0
    return view, colours, front, naked


def test_a_short_sleeve_and_the_bare_arm_below_it_are_not_mixed(astronaut: Astronaut) -> None:
    """Unseen sides of arms are shirt above the end of the sleeve and skin below it, also of the arm of which only one
    of both is seen: nothing between both but within 4 cm of the end."""
    view, colours, seen, naked = in_short_sleeves(astronaut)
    hand_side = seen * 1.0
    hand_side[view.rig.body.part_vertices("right_arm")] = naked[view.rig.body.part_vertices("right_arm")]
    assert np.array_equal(bare_limbs(view, colours, hand_side, SKIN), bare_limbs(view, colours, seen, SKIN))
    bare = bare_limbs(view, colours, seen, SKIN)
    arms = view.rig.body.part_vertices("left_arm", "right_arm")
    end = np.abs(view.rig.template[naked & arms, 0]).min()
    clear = arms & (np.abs(np.abs(view.rig.template[:, 0]) - end) > 0.04)
    assert bare[clear & naked].all()
    assert not bare[clear & ~naked].any()
    fill, _ = fill_colours(view, colours, seen, seen, SKIN, np.ones(colours.shape[:2]), bare)
    light = fill @ [0.299, 0.587, 0.114]
    assert light[clear & naked].min() > 120
    assert light[clear & ~naked].max() < 60


def test_a_held_phone_is_not_painted_on_the_hand(astronaut: Astronaut) -> None:
    """Of a hand with a few blue vertices these are unseen; one that is a third blue beside a bare one is unseen whole;
    gloves are kept."""
    view = _View(astronaut.puppet.rig.body)
    left, right = (np.flatnonzero(view.rig.body.part_vertices(f"{side}_hand")) for side in ("left", "right"))
    colours = np.full((1, len(view.points), 3), SKIN, np.uint8)
    colours[0, left[:10]] = (90, 120, 200)
    colours[0, right[: len(right) // 3]] = (90, 120, 200)
    seen = np.ones(len(view.points))
    hide_things_on_hands(view, colours, seen, SKIN)
    assert not seen[right].any()
    assert not seen[left[:10]].any()
    assert seen[left[10:]].all()
    colours[0, left] = colours[0, right] = (90, 120, 200)
    seen[:] = 1
    hide_things_on_hands(view, colours, seen, SKIN)
    assert seen.all()


def test_sunlit_hands_are_not_made_lighter_still() -> None:
    """The unseen side of a hand that is lighter than the face stays as light as the photo shows it."""
    lit = np.array([180.0, 140.0, 125.0])
    hands = np.repeat(1.3 * lit[None], 50, 0) / SEEN_SHADE
    assert lightening(hands, lit) == pytest.approx(SEEN_SHADE)
