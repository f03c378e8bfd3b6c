"""Link detections into people, and plan fixed crops around one of them."""

from __future__ import annotations

import numpy as np

from stages.detect.crops import clip_box, cut, cut_square, overlap, plan_crops
from stages.detect.person_detections import PersonDetection
from stages.detect.tracklets import crop_without_others, link_detections


def _detection(frame: int, x: float, height: float = 50.0) -> PersonDetection:
    box = np.array([x - 100, 50, x + 100, 400], float)
    return PersonDetection(frame, np.array([x, 100.0]), height, box, True, 0.9)


def test_two_people_are_not_swapped_and_the_larger_is_first():
    """Two people who sway are two tracks without a swap, ordered by head size, in any order of detection."""
    surveyed = [
        [_detection(f, 500 - 5 * np.sin(f), 50), _detection(f, 200 + 5 * np.cos(f), 60)][:: 1 if f % 2 else -1]
        for f in range(0, 50, 5)
    ]
    people = link_detections(surveyed, longest_gap=60)
    assert [len(p.detections) for p in people] == [10, 10]
    assert all(s.head[0] < 300 for s in people[0].detections)
    assert people[0].head_height > people[1].head_height


def test_a_person_who_comes_back_is_the_same_person():
    """A gap shorter than the longest absence gives one track; a longer gap gives two."""
    seen = [[_detection(f, 200)] if f < 20 or f >= 60 else [] for f in range(0, 100, 5)]
    assert len(link_detections(seen, longest_gap=60)) == 1
    assert len(link_detections(seen, longest_gap=20)) == 2


def test_people_in_very_few_frames_are_left_out():
    """A person in 1 of 20 surveyed frames does not count."""
    surveyed = [[_detection(f, 200)] + ([_detection(f, 600)] if f == 50 else []) for f in range(0, 100, 5)]
    assert len(link_detections(surveyed, longest_gap=60)) == 1


def test_a_head_is_interpolated_between_detections_only():
    """Halfway in time between two detections the head is halfway in space; long after the last it is unknown."""
    (person,) = link_detections([[_detection(0, 200)], [_detection(10, 220)]], longest_gap=60)
    found = person.head_at(5, farthest=10)
    assert found is not None
    np.testing.assert_allclose(found[0], (210, 100))
    assert person.head_at(25, farthest=10) is None


def test_a_walker_gets_several_crops_and_a_dancer_one():
    """A person who stays gets one crop, a person who crosses the picture several; each crop contains its boxes."""
    frames = np.arange(0, 100, 5)
    still = np.array([[100 + 10 * np.sin(f), 0, 200 + 10 * np.sin(f), 300] for f in frames])
    segment, crops = plan_crops(frames, still, 100)
    assert len(crops) == 1
    assert segment.max() == 0
    walking = np.array([[8 * f, 0, 8 * f + 100, 300] for f in frames], float)
    segment, crops = plan_crops(frames, walking, 100)
    assert 2 < len(crops) < 20
    assert np.all(np.diff(segment) >= 0)
    for frame, box in zip(frames, walking, strict=True):
        crop = crops[segment[frame]]
        assert overlap(box, np.concatenate([np.maximum(box[:2], crop[:2]), np.minimum(box[2:], crop[2:])])) > 0.5


def test_the_crop_stops_between_two_heads():
    """A person at the right moves the right side of the crop to the middle between the heads."""
    mine = [_detection(0, 200)]
    others = link_detections([[_detection(0, 320)]], longest_gap=10)
    crop = crop_without_others(np.array([100, 0, 500, 400]), mine, others)
    np.testing.assert_allclose(crop, [100, 0, 260, 400])


def test_points_are_mapped_back_from_any_crop():
    """The centre of a crop maps to the centre of its box in the picture, for clipped, enlarged and padded crops."""
    rgb = np.zeros((240, 320, 3), np.uint8)
    crop = cut(rgb, np.array([100, 50, 200, 90]), most=768, least=200)
    assert max(crop.rgb.shape) == 200
    np.testing.assert_allclose(crop.to_source(np.array([[100, 40, 20.0]]), scale_z=True), [[150, 70, 10]], rtol=1e-6)
    np.testing.assert_allclose(crop.to_source(np.array([[100, 40, 0.9]])), [[150, 70, 0.9]], rtol=1e-6)
    padded = cut_square(rgb, np.array([310.0, 230.0]), 100, 64)
    assert padded.rgb.shape == (64, 64, 3)
    np.testing.assert_allclose(padded.to_source(np.array([[32, 32.0]]))[0], [310, 230])
    np.testing.assert_array_equal(clip_box(np.array([-5, 3.2, 400, 9.1]), 320, 240), [0, 3, 320, 10])
