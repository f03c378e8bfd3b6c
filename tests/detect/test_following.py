"""Linking sightings into people, and planning still crops around one of them."""

from __future__ import annotations

import numpy as np

from stages.detect.crops import clip_box, cut, cut_square, overlap, plan
from stages.detect.person_detections import Sighting
from stages.detect.tracklets import link, without_others


def _sighting(frame: int, x: float, height: float = 50.0) -> Sighting:
    box = np.array([x - 100, 50, x + 100, 400], float)
    return Sighting(frame, np.array([x, 100.0]), height, box, True, 0.9)


def test_two_people_keep_their_identity_and_the_larger_comes_first():
    """Two people who sway are two tracks without a swap, ordered by head size whatever order they are seen in."""
    surveyed = [
        [_sighting(f, 500 - 5 * np.sin(f), 50), _sighting(f, 200 + 5 * np.cos(f), 60)][:: 1 if f % 2 else -1]
        for f in range(0, 50, 5)
    ]
    people = link(surveyed, longest_gap=60)
    assert [len(p.sightings) for p in people] == [10, 10]
    assert all(s.head[0] < 300 for s in people[0].sightings)
    assert people[0].head_height > people[1].head_height


def test_someone_who_comes_back_is_the_same_person():
    """A gap shorter than the longest absence leaves one track; a longer one makes two."""
    seen = [[_sighting(f, 200)] if f < 20 or f >= 60 else [] for f in range(0, 100, 5)]
    assert len(link(seen, longest_gap=60)) == 1
    assert len(link(seen, longest_gap=20)) == 2


def test_fleeting_people_are_left_out():
    """Somebody seen in 1 of 20 surveyed frames does not count."""
    surveyed = [[_sighting(f, 200)] + ([_sighting(f, 600)] if f == 50 else []) for f in range(0, 100, 5)]
    assert len(link(surveyed, longest_gap=60)) == 1


def test_a_head_between_sightings_is_interpolated_and_not_far_beyond():
    """The head halfway between two sightings is halfway between them; far after the last it is unknown."""
    (person,) = link([[_sighting(0, 200)], [_sighting(10, 220)]], longest_gap=60)
    found = person.head_at(5, farthest=10)
    assert found is not None
    np.testing.assert_allclose(found[0], (210, 100))
    assert person.head_at(25, farthest=10) is None


def test_a_walker_gets_several_crops_and_a_dancer_one():
    """Crops stand still while the person does, and follow in steps who crosses the picture; each holds its boxes."""
    frames = np.arange(0, 100, 5)
    still = np.array([[100 + 10 * np.sin(f), 0, 200 + 10 * np.sin(f), 300] for f in frames])
    segment, crops = plan(frames, still, 100)
    assert len(crops) == 1
    assert segment.max() == 0
    walking = np.array([[8 * f, 0, 8 * f + 100, 300] for f in frames], float)
    segment, crops = plan(frames, walking, 100)
    assert 2 < len(crops) < 20
    assert np.all(np.diff(segment) >= 0)
    for frame, box in zip(frames, walking, strict=True):
        crop = crops[segment[frame]]
        assert overlap(box, np.concatenate([np.maximum(box[:2], crop[:2]), np.minimum(box[2:], crop[2:])])) > 0.5


def test_the_crop_stops_between_two_heads():
    """Somebody at the right pulls the right side in to the middle, never through one's own head."""
    mine = [_sighting(0, 200)]
    others = link([[_sighting(0, 320)]], longest_gap=10)
    crop = without_others(np.array([100, 0, 500, 400]), mine, others)
    np.testing.assert_allclose(crop, [100, 0, 260, 400])


def test_points_come_home_from_any_crop():
    """The centre of a crop is the centre of its box in the picture, clipped, enlarged or padded."""
    from types import SimpleNamespace

    centre = SimpleNamespace(landmark=[SimpleNamespace(x=0.5, y=0.5, z=0.1, visibility=1.0)])
    rgb = np.zeros((240, 320, 3), np.uint8)
    crop = cut(rgb, np.array([100, 50, 200, 90]), most=768, least=200)
    assert max(crop.rgb.shape) == 200
    np.testing.assert_allclose(crop.points(centre, "z"), [[150, 70, 10]], rtol=1e-6)
    padded = cut_square(rgb, np.array([310.0, 230.0]), 100, 64)
    assert padded.rgb.shape == (64, 64, 3)
    np.testing.assert_allclose(padded.points(centre, "z")[0, :2], [310, 230])
    np.testing.assert_array_equal(clip_box(np.array([-5, 3.2, 400, 9.1]), 320, 240), [0, 3, 320, 10])
