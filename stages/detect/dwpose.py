"""DWPose: 133 points of the person that MediaPipe follows, from the user's network (`emosh models add dwpose FILE`).

As published (IDEA-Research/DWPose, onnx branch, annotator/dwpose/onnxpose.py): the person's box is enlarged by 1.25,
extended to the network's proportions and warped to its size. RGB is normalised by ImageNet's mean and deviation (issue
25 there, and bgr_to_rgb in mmpose's config for these weights). Each point is the highest bin of two rows of bins, two
bins per pixel. Only 2-D positions are used, as from a `--keypoints` file; depth and the dense face are MediaPipe's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect import holistic
from stages.detect.config import DetectConfig
from stages.detect.crops import Box, overlap
from stages.detect.detectors import BOX_FILE, POSE_FILE, check_files
from stages.detect.keypoint_file import KeypointRows, wholebody_rows, with_keypoints
from stages.detect.observations import Observations
from stages.detect.onnx_network import BINS_PER_PIXEL, JOINTS, OnnxNetwork, check_network, open_network
from stages.detect.yolox import people_boxes
from stages.progress import Progress, silent
from stages.video.source import read_frames

BOX_GROWTH = 1.25
"""Size of the crop relative to the person's box."""
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""ImageNet's, for red, green and blue."""
SAME_PERSON = 0.2
"""Least overlap (IoU) of a box with the box of the followed person. Without such a box MediaPipe's own box is used.
Chosen here."""


def observe(path: Path, config: DetectConfig, progress: Progress = silent) -> list[Observations]:
    """Observe people with MediaPipe, then replace its points with DWPose's where their confidence is high.

    Raises InputError as `holistic.observe` does, and for files that are missing or are other networks.
    """
    check_files("dwpose")
    check_network("dwpose", POSE_FILE.where())
    pose, boxes = open_network(POSE_FILE.where()), None
    if BOX_FILE.where().is_file():
        check_network("dwpose-det", BOX_FILE.where())
        boxes = open_network(BOX_FILE.where())
    people = holistic.observe(Path(path), config, progress)
    points = read_points(Path(path), people, pose, boxes, progress)
    return [with_keypoints(each, rows, "dwpose") for each, rows in zip(people, points, strict=True)]


def read_points(
    path: Path, people: list[Observations], pose: OnnxNetwork, boxes: OnnxNetwork | None, progress: Progress
) -> list[KeypointRows]:
    """The points of each person in every frame in which MediaPipe follows them; NaN elsewhere."""
    points = np.full((len(people), len(people[0]), JOINTS, 3), np.nan)
    for frame in read_frames(path):
        own = [each.person_box[frame.index].astype(float) for each in people]
        seen = [number for number, box in enumerate(own) if np.isfinite(box).all()]
        found = people_boxes(frame.rgb, boxes) if seen and boxes is not None else None
        for number in seen:
            box = own[number] if found is None else box_of_person(found, own[number])
            points[number, frame.index] = points_in_box(frame.rgb, box, pose)
        progress("reading dwpose's points", frame.index + 1, len(people[0]))
    return [wholebody_rows(rows) for rows in points]


def box_of_person(boxes: Float[np.ndarray, "people 4"], own: Box) -> Box:
    """The box that overlaps the followed person's box `own` the most, or `own` if none overlaps enough."""
    overlaps = [overlap(box.astype(float), own) for box in boxes]
    if not overlaps or max(overlaps) < SAME_PERSON:
        return own
    return boxes[int(np.argmax(overlaps))].astype(float)


def points_in_box(
    rgb: UInt8[np.ndarray, "height width 3"], box: Box, network: OnnxNetwork
) -> Float[np.ndarray, "133 3"]:
    """x px, y px and confidence of every point of the person in `box`."""
    width, height = network.size
    centre, sides = (box[:2] + box[2:]) / 2, BOX_GROWTH * (box[2:] - box[:2])
    sides = max(sides[0], sides[1] * width / height) * np.array([1, height / width])
    places, confidence = decode_simcc(*network.run(network_input(rgb, centre, sides, network.size)))
    places = places / (width, height) * sides + centre - sides / 2
    return np.concatenate([places, confidence[:, None]], 1)


def network_input(
    rgb: UInt8[np.ndarray, "height width 3"],
    centre: Float[np.ndarray, "2"],
    sides: Float[np.ndarray, "2"],
    size: tuple[int, int],
) -> Float[np.ndarray, "1 3 rows columns"]:
    """The network's input: a crop of `sides` px around `centre`, black outside the picture."""
    import cv2

    scale = size[0] / sides[0]
    matrix = np.array([[scale, 0, size[0] / 2 - scale * centre[0]], [0, scale, size[1] / 2 - scale * centre[1]]])
    cut = cv2.warpAffine(rgb, matrix, size, flags=cv2.INTER_LINEAR)
    normal = (cut - np.array(MEAN)) / np.array(DEVIATION)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


def decode_simcc(
    columns: Float[np.ndarray, "1 133 x_bins"], rows: Float[np.ndarray, "1 133 y_bins"]
) -> tuple[Float[np.ndarray, "133 2"], Float[np.ndarray, "133"]]:
    """SimCC: position of the highest bin per axis, px of the network's input, and the lower of the two heights."""
    places = np.stack([each[0].argmax(-1) for each in (columns, rows)], -1) / BINS_PER_PIXEL
    return places, np.minimum(columns[0].max(-1), rows[0].max(-1)).astype(float)
