"""Link detections into people, and plan fixed crops around one of them."""

from __future__ import annotations

import numpy as np

from stages.detect.crops import clip_box, cut, cut_square, overlap, plan_crops
from stages.detect.holistic import hidden_frames
from stages.detect.people import follow, people_of_shots, recognise
from stages.detect.person_detections import PersonDetection
from stages.detect.tracklets import crop_without_others, link_detections


def _detection(frame: int, x: float, height: float = 50.0, colour: float = 50.0) -> PersonDetection:
    box = np.array([x - 100, 50, x + 100, 400], float)
    return PersonDetection(frame, np.array([x, 100.0]), height, box, True, 0.9, np.full((4, 3, 9), colour, np.float32))


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
    """Without a look a gap shorter than the longest absence gives one track; a longer gap gives two."""
    seen = [[_detection(f, 200, colour=np.nan)] if f < 20 or f >= 60 else [] for f in range(0, 100, 5)]
    assert len(link_detections(seen, longest_gap=60)) == 1
    assert len(link_detections(seen, longest_gap=20)) == 2


def test_a_person_who_looks_the_same_comes_back_after_any_time():
    """After a long absence a known look gives one track, another look two, and a look that is not seen two."""
    for colour, tracks in ((50, 1), (80, 2), (np.nan, 2)):  # more than three seconds later
        seen = [[_detection(f, 200)] for f in range(0, 20, 5)]
        seen += [[_detection(f, 400, colour=colour)] for f in range(200, 220, 5)]
        assert len(link_detections(seen, longest_gap=60)) == tracks


def test_one_who_passes_in_front_takes_nobody_over():
    """Two people of one size cross, only the one in front is seen meanwhile: no track has both looks."""
    surveyed = []
    for f in range(0, 60, 2):
        standing, passing = _detection(f, 300, colour=30), _detection(f, 60 + 8 * f, colour=60)
        is_covered = abs(passing.head[0] - 300) < 90
        surveyed.append([passing] if is_covered else [standing, passing])
    people = link_detections(surveyed, longest_gap=60)
    assert [len({float(s.look[0, 0, 0]) for s in person.detections}) for person in people] == [1, 1]
    assert sorted(len(person.detections) for person in people) == [19, 30]


def test_of_two_who_meet_and_part_each_keeps_the_own_track():
    """Two people walk to each other, are one detection for a while, and walk back: place alone would exchange them."""
    surveyed = []
    for f in range(0, 100, 2):
        apart = abs(f - 50) * 4
        one, two = _detection(f, 400 - apart, colour=30), _detection(f, 400 + apart, colour=60)
        surveyed.append([one, two] if apart > 40 else [])
    people = link_detections(surveyed, longest_gap=60)
    assert len(people) == 2
    for person in people:
        assert len({float(s.look[0, 0, 0]) for s in person.detections}) == 1


def test_a_covered_person_is_not_read():
    """Frames between two detections are hidden where somebody else is at the place, and only there."""
    person = link_detections([[_detection(f, 200)] for f in (0, 5, 10, 30, 35)], longest_gap=60)[0]
    (near,) = link_detections([[_detection(f, 260)] for f in (15, 20, 25)], longest_gap=60)
    (far,) = link_detections([[_detection(f, 900)] for f in (15, 20, 25)], longest_gap=60)
    assert np.flatnonzero(hidden_frames(person, [near], 0, 40, 5)).tolist() == list(range(13, 28))
    assert not hidden_frames(person, [far], 0, 40, 5).any()
    assert not hidden_frames(None, [near], 0, 40, 5).any()


def test_people_are_recognised_across_cuts_by_their_look():
    """A look of the shot before is the same person, another look is a new one; a shot between does not matter."""
    surveyed = [[_detection(f, 200, colour=30), _detection(f, 600, 40, colour=60)] for f in range(0, 20, 5)]
    surveyed += [[_detection(f, 500, colour=90)] for f in range(20, 40, 5)]
    surveyed += [[_detection(f, 400, colour=62), _detection(f, 800, 40, colour=33)] for f in range(40, 60, 5)]
    shots = people_of_shots(surveyed, (0, 20, 40), 60, longest_gap=60)
    known = recognise(shots)
    colours = [[None if p is None else float(p.look[0, 0, 0]) for p in rows] for rows in known]
    assert sorted(colours, key=str) == [[30, None, 33], [60, None, 62], [None, 90, None]]
    number = colours.index([30, None, 33])
    assert [each.identity == number for each in follow(shots, known, number, alone=True)] == [True, False, True]
    assert [each.person is None for each in follow(shots, known, number, alone=True)] == [False, True, False]
    if number == 0:
        assert follow(shots, known, 0)[1].identity == colours.index([None, 90, None])


def test_nobody_is_linked_across_a_cut():
    """The same place and size in the next shot is another person if the look is; detections stay in their shots."""
    surveyed = [[_detection(f, 200, colour=30 if f < 20 else 60)] for f in range(0, 40, 5)]
    shots = people_of_shots(surveyed, (0, 20), 40, longest_gap=60)
    assert [[s.frame for s in shot.people[0].detections] for shot in shots] == [[0, 5, 10, 15], [20, 25, 30, 35]]
    assert len(recognise(shots)) == 2


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
