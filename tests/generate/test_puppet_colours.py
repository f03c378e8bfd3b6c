"""Colours for surfaces that are not visible in the photo."""

from __future__ import annotations

import numpy as np

from stages.generate.puppet.texture import hide_covered_limbs, usual_colour
from stages.generate.puppet.view import View


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
