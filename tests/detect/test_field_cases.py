"""People who pass, cuts, paintings and a camera upside down: the field cases of ../shared, if they are here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.detect.config import DetectConfig
from stages.detect.gates import gate
from stages.detect.holistic import detect, observe

FIELD = Path(__file__).resolve().parents[3] / "shared" / "media" / "field"
pytestmark = pytest.mark.skipif(not FIELD.is_dir(), reason="the field cases of ../shared/media are not here")


def test_a_jump_cut_gives_two_shots_of_two_people() -> None:
    """f06: the cut is at frame 14, every frame is valid, and the second person is another one than the first."""
    seen = detect(FIELD / "f06_jump_cut.mp4")
    assert [rows.start for rows in seen.shots] == [0, 14]
    assert gate(seen).valid[:, :2].all()
    assert seen.identity[0] != seen.identity[-1]
    one, two = observe(FIELD / "f06_jump_cut.mp4", DetectConfig(everyone=True))
    valid = np.stack([gate(each).valid[:, 0] for each in (one, two)])
    assert (valid.sum(0) == 1).all()


def test_a_man_who_passes_another_does_not_take_him_over() -> None:
    """f07: no track holds both the standing man of the first frames and the passing man of the last."""
    for seen in observe(FIELD / "f07_two_people_pass_film.mp4", DetectConfig(everyone=True)):
        valid = gate(seen).valid[:, 0]
        assert not (valid[:4].any() and valid[-4:].any())


def test_a_camera_upside_down_loses_no_face() -> None:
    """f13: the face is valid in at least half of the frames."""
    valid = gate(detect(FIELD / "f13_camera_upside_down.mp4")).valid
    assert valid[:, 0].all()
    assert valid[:, 1].mean() > 0.5


@pytest.mark.parametrize("name", ["f11_group_of_seven.jpg", "f12_painting_bust.jpg"])
def test_a_group_and_a_painting_are_read(name: str) -> None:
    """f11: everybody found has a face and a body of the own; f12: so has the painting."""
    people = observe(FIELD / name, DetectConfig(everyone=True))
    heads = np.array([each.pose[0, 0, :2] for each in people])
    for each in people:
        assert gate(each).valid[0, :2].all()
    apart = np.linalg.norm(heads[:, None] - heads[None], axis=-1) + 1e9 * np.eye(len(heads))
    assert apart.min() > 50
