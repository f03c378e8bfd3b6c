"""Arms in sleeves that cross the trunk in the photo, on a made-up person in a dark suit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import Motion, select_rows
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.generate.puppet.build import build_puppet, canvas_matte, label_parts, landmarks_on_canvas
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.crossed import (
    arm_change,
    crossing_arms,
    label_crossed,
    own_colours,
    side_under,
)
from stages.generate.puppet.face import face_area
from stages.generate.puppet.generate import detect_face, draw_frames, make_puppet
from stages.generate.puppet.girth import fit_girth
from stages.generate.puppet.parts import LAYERS, label_pixels
from stages.generate.puppet.texture import apart, unlike
from stages.generate.puppet.view import View, make_rig, make_view, vertex_normals
from stages.people.clips import draw_frames as draw_people
from stages.people.clips import make_person
from stages.people.config import PeopleConfig
from stages.people.looks import Cloth
from stages.raster.masks import dilate
from stages.raster.rasterizer import rasterizer
from stages.video.png import write_png

CROSSED = {
    "left_shoulder": (0.55, -1.35, -0.99), "left_elbow": (0.18, -1.67, -0.03),
    "right_shoulder": (0.33, 1.15, 1.00), "right_elbow": (0.12, 1.60, 0.03),
}  # fmt: skip
DOWN = {"left_shoulder": (0.0, 0.0, -1.1), "left_elbow": (0.0, 0.0, 0.0),
        "right_shoulder": (0.0, 0.0, 1.1), "right_elbow": (0.0, 0.0, 0.0)}  # fmt: skip
FORWARD = {"left_shoulder": (0.0, 0.0, -1.0), "left_elbow": (0.0, -1.3, 0.0),
           "right_shoulder": (0.0, 0.0, 1.0), "right_elbow": (0.0, 1.3, 0.0)}  # fmt: skip
SUIT, RED = (0.12, 0.13, 0.20), (0.75, 0.15, 0.12)
MOVING = frozenset(f"{side}_{part}" for side in ("left", "right") for part in ("arm", "hand"))


@dataclass(frozen=True)
class Folded:
    """A photo with crossed arms, its exact body, and the true picture and body with the arms down."""

    photo: np.ndarray
    reference: Motion
    landmarks: np.ndarray | None
    truth: np.ndarray
    target: Motion


def posed(motion: Motion, joints: dict[str, tuple[float, ...]]) -> Motion:
    """The motion with these joints turned so."""
    poses = motion.poses.copy()
    for name, rotation in joints.items():
        at = 3 * JOINT_NAMES.index(name)
        poses[:, at : at + 3] = rotation
    return replace(motion, poses=poses, valid=np.ones_like(motion.valid))


def photographed(body: Body, folder: Path, sleeve: float, joints: dict[str, tuple[float, ...]] = CROSSED) -> Folded:
    """The person in this pose, with sleeves that end at `sleeve` metres from the middle."""
    config = PeopleConfig(framing=("half",), background=("plain",), tracked_share=0.0, frames=2, width=384, height=384)
    person = make_person(body, 1, config)
    suit = Cloth(SUIT, SUIT)
    looks = replace(person.looks, top=suit, bottom=suit, jacket=None, bottom_kind="trousers", sleeve=sleeve)
    person = replace(person, looks=replace(looks, looseness=0.02))
    row = select_rows(person.motion, slice(0, 1))
    reference, target = posed(row, joints), posed(row, DOWN)
    photo, truth = (next(draw_people(body, replace(person, motion=each))) for each in (reference, target))
    write_png(folder / "photo.png", photo)
    return Folded(photo, reference, detect_face(folder / "photo.png"), truth, target)


@pytest.fixture(scope="module")
def folded(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Folded:
    """In a dark suit with long sleeves."""
    return photographed(body, tmp_path_factory.mktemp("folded"), 0.655)


def seen(folded: Folded, body: Body, reference: Motion | None = None) -> tuple[View, np.ndarray, np.ndarray]:
    """The photo with a body in it, the matte and the face's pixels."""
    reference = reference or folded.reference
    view = make_view(folded.photo, reference, make_rig(body, reference), (576, 576))
    face = face_area(view, landmarks_on_canvas(view, folded.landmarks, folded.photo))
    return view, canvas_matte(view, face), face


def members(folded: Folded, body: Body, *parts: str) -> np.ndarray:
    """Pixels of the true picture with the arms down that show these parts of the body."""
    motion = folded.target
    vertices = pose_motion(body, motion, slice(0, 1)).vertices[0]
    shown = rasterizer("numba")(project(vertices, motion.K[0]).astype(np.float32), body.faces, *motion.image_size)
    return (shown.face >= 0) & body.part_vertices(*parts)[body.faces[shown.face]].all(-1)


def decibels(one: np.ndarray, other: np.ndarray, mask: np.ndarray) -> float:
    """PSNR inside a mask."""
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other)[mask] ** 2)))


def test_sleeves_that_open_leave_a_whole_trunk_and_whole_arms(folded: Folded, body: Body) -> None:
    """Arms that were crossed and hang down: trunk, sleeves and hands are close to those of the true picture.

    Measured 35.3, 31.8 and 23.5 dB. With the watershed's labels and the sheets of the crossed sleeves alone it was
    29.4, 20.6 and 15.5 dB.
    """
    config = PuppetConfig(framing="drive", size=384)
    puppet, exact, _ = make_puppet(folded.photo, folded.reference, folded.target, body, folded.landmarks, config)
    frame = next(draw_frames(puppet, exact))
    for part, least in (("torso", 33.0), ("arm", 28.0), ("hand", 20.0)):
        parts = (part,) if part == "torso" else (f"left_{part}", f"right_{part}")
        assert decibels(frame, folded.truth, members(folded, body, *parts)) > least, part


def test_a_driver_who_keeps_the_arms_crossed_gets_the_photos_sleeves(folded: Folded, body: Body) -> None:
    """Driven by its own pose the person is as in the photo, although the arms are among what moves."""
    config = PuppetConfig(framing="drive", size=384)
    puppet, exact, _ = make_puppet(folded.photo, folded.reference, folded.reference, body, folded.landmarks, config)
    assert set(puppet.arms) == {"left_arm", "right_arm"}
    person = (folded.photo != folded.photo[0, 0]).any(-1)
    assert decibels(next(draw_frames(puppet, exact)), folded.photo, person) > 30


def test_pieces_of_a_hand_do_not_leave_with_an_arm_that_opens(folded: Folded, body: Body) -> None:
    """The sheet of a folded arm's hand is not drawn once the arm is elsewhere, though the hand itself is held alike.

    The sheet of the right hand is painted green, and the arm is lifted by 30 degrees in the picture's plane.
    """
    config = PuppetConfig(framing="drive", size=384)
    aside = posed(folded.reference, {"right_shoulder": (0.33, 1.15, 0.45)})
    puppet, exact, _ = make_puppet(folded.photo, folded.reference, aside, body, folded.landmarks, config)
    for layer in puppet.layers:
        if layer.name == "right_hand":
            layer.texture[..., :3] = (0, 255, 0)
            break
    else:
        pytest.fail("the photo shows no right hand")
    kept = next(draw_frames(puppet, replace(exact, poses=folded.reference.poses)))
    moved = next(draw_frames(puppet, exact))
    assert (np.abs(kept.astype(int) - (0, 255, 0)).max(-1) < 40).sum() > 100
    assert (np.abs(moved.astype(int) - (0, 255, 0)).max(-1) < 40).sum() == 0


def test_a_folded_arm_that_opens_has_a_hand(folded: Folded, body: Body) -> None:
    """Also where neither the photo nor the motion shows the hand: a sleeve does not end without one."""
    unseen = np.array([[True, True, False, False]])
    reference, target = replace(folded.reference, valid=unseen), replace(folded.target, valid=unseen)
    config = PuppetConfig(framing="drive", size=384)
    puppet, _, _ = make_puppet(folded.photo, reference, target, body, folded.landmarks, config)
    assert set(puppet.hands) == {"left_hand", "right_hand"}


def test_only_moving_arms_in_sleeves_before_the_trunk_are_crossed(folded: Folded, body: Body, tmp_path: Path) -> None:
    """Both folded arms; not one that keeps its place, not arms that hang down, and not bare arms, which have edges."""
    view, alpha, face = seen(folded, body)
    assert crossing_arms(view, alpha, face, MOVING) == {"left_arm", "right_arm"}
    assert crossing_arms(view, alpha, face, frozenset({"left_arm", "left_hand"})) == {"left_arm"}
    assert not crossing_arms(view, alpha, np.zeros_like(face), MOVING)
    hanging = replace(folded, photo=folded.truth, reference=folded.target)
    assert not crossing_arms(*seen(hanging, body), MOVING)
    bare = photographed(body, tmp_path, 0.175)
    assert not crossing_arms(*seen(bare, body), MOVING)


def test_forearms_that_point_at_the_camera_are_drawn_as_crossed_ones(body: Body, tmp_path: Path) -> None:
    """Where their hands were measured: the photo shows nothing of such a sleeve's length."""
    forward = photographed(body, tmp_path, 0.655, FORWARD)
    assert crossing_arms(*seen(forward, body), MOVING, (True, True)) == {"left_arm", "right_arm"}
    assert crossing_arms(*seen(forward, body), MOVING, (False, True)) == {"right_arm"}


def test_a_fitted_hand_before_a_sleeve_is_the_sleeves(folded: Folded, body: Body) -> None:
    """Where the fit guesses a hand and the photo shows a sleeve, the label is not a hand; where it shows skin it is."""
    wrong = posed(folded.reference, {"left_wrist": (0.0, 0.9, 0.9), "right_wrist": (0.0, -0.9, -0.9)})
    view, alpha, face = seen(folded, body, wrong)
    hands = [row for row, name in enumerate(LAYERS) if name.endswith("hand")]
    before = label_pixels(view, alpha, (True, True), face)
    crossing = frozenset({"left_arm", "right_arm"})
    after = label_crossed(view, alpha, before, crossing, face)
    dark = (view.photo.max(-1) < 70) & (alpha > 0.99)
    assert (np.isin(before, hands) & dark).sum() > 300
    assert (np.isin(after, hands) & dark).sum() < 0.1 * (np.isin(before, hands) & dark).sum()
    skin = apart(view.photo.astype(np.float32), np.median(view.photo[face], 0)) < 45
    true, _, _ = seen(folded, body)
    hand = np.all(body.part_vertices("left_hand", "right_hand")[body.faces], 1)
    shown = skin & (alpha > 0.99) & (true.fragments.face >= 0) & hand[true.fragments.face]
    assert shown.sum() > 300
    assert np.isin(after, hands)[shown].mean() > 0.85


def test_a_wide_sleeve_beside_a_slim_body_is_no_part_of_the_trunk(folded: Folded, body: Body) -> None:
    """Of the cloth beside the mesh, above the hem of the sleeves, the trunk gets nothing that is nearer to an arm."""
    view, alpha, face = seen(folded, body)
    labels = np.full(alpha.shape, list(LAYERS).index("torso"))
    fitted = label_pixels(view, alpha, (True, True), face)
    covered = view.fragments.face >= 0
    labels[covered] = fitted[covered]
    after, _ = label_parts(view, alpha, (True, True), face, frozenset({"left_arm", "right_arm"}))
    given = label_crossed(view, alpha, labels, frozenset({"left_arm", "right_arm"}), face)
    arms = [row for row, name in enumerate(LAYERS) if name.endswith("arm")]
    beside = np.isin(after, arms) & ~covered & (alpha > 0.5)
    assert beside.sum() > 500
    assert np.isin(given, arms)[beside].mean() > 0.9


def test_a_jacket_is_as_wide_behind_the_arms_as_above_and_below(folded: Folded, body: Body) -> None:
    """Cloth that stands 4 cm beside the trunk is continued there under a band of arms; tight cloth is not widened."""
    view, _, _ = seen(folded, body)
    torso, arm = list(LAYERS).index("torso"), list(LAYERS).index("left_arm")
    faces = body.faces[np.all(body.part_vertices("torso")[body.faces], 1)]
    height, width = view.photo.shape[:2]
    trunk = rasterizer("numba")(view.points, faces, width, height).face >= 0
    view.fragments.face[~trunk] = -1
    jacket = dilate(trunk, 4 * view.centimetre_px)
    rows = np.flatnonzero(trunk.any(1))
    band = slice(int(np.quantile(rows, 0.5)), int(np.quantile(rows, 0.65)))
    labels = np.full(trunk.shape, torso)
    labels[band] = arm
    wide = side_under(view, jacket.astype(np.float32), labels, trunk)
    missing = jacket[band] & ~trunk[band]
    assert missing.sum() > 300
    assert wide[band][missing].mean() > 0.8
    assert not (side_under(view, trunk.astype(np.float32), labels, trunk) & ~trunk).any()


def test_a_folded_arm_is_widened_evenly(folded: Folded, body: Body) -> None:
    """From shoulder to wrist the mesh moves by one length along its normals, as far as the sleeve's usual outline."""
    even = frozenset({"left_arm", "right_arm"})
    view, alpha, face = seen(folded, body)
    before = view.rig.template.copy()
    labels, _ = label_parts(view, alpha, (True, True), face, even)
    fit_girth(view, alpha, labels, even)
    moved = ((view.rig.template - before) * vertex_normals(before, body.faces)).sum(1)
    arms = body.part_vertices("left_arm", "right_arm") & (np.abs(before[:, 0]) > 0.25) & (np.abs(before[:, 0]) < 0.6)
    assert np.median(moved[arms]) > 0.008
    assert np.ptp(moved[arms]) < 0.001


def test_an_arms_own_colours_hold_nothing_of_hands_and_background(folded: Folded, body: Body) -> None:
    """The colours that the sleeve's mesh is drawn with are those of the suit, everywhere in the picture."""
    view, alpha, face = seen(folded, body)
    labels, _ = label_parts(view, alpha, (True, True), face, frozenset({"left_arm", "right_arm"}))
    colours = own_colours(view, view.photo, alpha, labels, "arm")
    assert (colours.max(-1) < 90).mean() > 0.98
    assert (view.photo.max(-1) < 90).mean() < 0.5


def test_an_arm_changes_when_its_elbow_opens_and_not_when_the_person_turns(folded: Folded, body: Body) -> None:
    """The angle of the elbow's change, 0 for a turn of the whole body."""
    rig = make_rig(body, folded.reference)

    def transforms(motion: Motion) -> np.ndarray:
        return rig.transforms(motion.poses[0], motion.trans[0])

    photo = transforms(folded.reference)
    turned = posed(folded.reference, {"pelvis": (0.3, 2.4, 0.1)})
    assert arm_change("left_arm", transforms(turned), photo) == pytest.approx(0.0, abs=0.01)
    opened = posed(folded.reference, {"left_elbow": (0.18, -1.27, -0.03)})
    assert arm_change("left_arm", transforms(opened), photo) == pytest.approx(0.4, abs=0.03)
    assert arm_change("right_arm", transforms(opened), photo) == pytest.approx(0.0, abs=0.01)


def test_apart_is_unlike_of_each_colour() -> None:
    """The picture's function gives for every pixel what the slow one gives for two colours."""
    rng = np.random.default_rng(3)
    colours, colour = rng.uniform(0, 255, (5, 7, 3)), np.array([30.0, 35.0, 60.0])
    slow = [[unlike(pixel, colour) for pixel in row] for row in colours]
    assert np.allclose(apart(colours, colour), slow)


def test_two_trouser_legs_share_their_border(folded: Folded, body: Body) -> None:
    """Beside the mesh, where two sheets meet, both are opaque: no line of the background between them."""
    config = PuppetConfig(framing="drive", size=384)
    puppet = build_puppet(folded.photo, folded.reference, body, folded.landmarks, config)
    height, width = puppet.colours.shape[:2]
    opacity = {}
    for layer in puppet.layers:
        whole = np.zeros((height, width), np.float32)
        (x, y), (rows, columns) = layer.origin, layer.texture.shape[:2]
        whole[y : y + rows, x : x + columns] = layer.texture[..., 3] / 255
        opacity[layer.name] = whole
    left, right = opacity["left_leg"], opacity["right_leg"]
    through = (1 - left) * (1 - right)
    rows = slice(int(0.85 * folded.photo.shape[0] * puppet.size[1] / folded.photo.shape[0]), puppet.size[1] - 4)
    both = (left[rows] > 0.3) & (right[rows] > 0.3)
    assert both.sum() > 20
    assert np.quantile(through[rows][both], 0.9) < 0.12
