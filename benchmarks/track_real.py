"""The tracker on real video with 3-D truth, beside MediaPipe's world landmarks on the same frames.

    python -m benchmarks.track_real FOLDER [--view beam_cam02] [--set KEY=VALUE] [--write]

FOLDER holds clips as `benchmarks.real_truth` describes them. emosh tracks each video as `emosh track` does. MediaPipe
runs Holistic on the whole frames, in order. Errors are in mm, in the frame of the camera. A picture shows the middle
frame of every view: the points of truth, emosh and MediaPipe from the camera, from the side and from above. The same
with the video's own frame beside it lies in out/benchmarks and is never kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from benchmarks.real_truth import NUMBERS, PARTS, Errors, View, errors, hand_errors, head_errors, views
from benchmarks.record import UNWRITTEN, Column, Recorder, arguments
from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import Body, keypoints_from, motion_template, pose_motion
from stages.body.store import open_body
from stages.track.config import TrackConfig
from stages.track.track import track

KIND = (Column("view", "view"), Column("facing", "chest to camera", "degrees", 0), Column("method", "method"))
WHOLE = (
    *KIND, Column("mpjpe", "MPJPE", "mm"), Column("scaled", "one scale", "mm"), Column("pa", "Procrustes", "mm"),
    Column("across", "across the line of sight", "mm"), Column("along", "along it", "mm"),
    Column("acceleration", "acceleration", "mm per (1/30 s)²"), Column("placed", "in place", "mm"),
    Column("scale", "scale needed", digits=3), Column("focal", "focal length", "px", 0),
    Column("focal_true", "true", "px", 0),
)  # fmt: skip
BY_PART = (
    *KIND, *(Column(part, part, "mm", 0) for part in PARTS),
    Column("left_hand", "left hand", "mm"), Column("left_hand_pa", "Procrustes", "mm"),
    Column("right_hand", "right hand", "mm"), Column("right_hand_pa", "Procrustes", "mm"),
    Column("head_turn", "head turn", "degrees"), Column("head_scale", "head scale needed", digits=2),
)  # fmt: skip
ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Prediction:
    """One method's points of one view: 33 pose points and 21 of each hand, metres; pose points in the picture, px."""

    pose: Float[np.ndarray, "frames 33 3"]
    pixels: Float[np.ndarray, "frames 33 2"]
    hands: dict[str, Float[np.ndarray, "frames 21 3"]]
    hands_valid: dict[str, Bool[np.ndarray, "frames"]]
    focal_px: float | None = None
    """None: the method knows no camera, and no place of the person."""
    face: dict[int, Float[np.ndarray, "frames 3"]] = field(default_factory=dict)


def of_emosh(motion: Motion, body: Body) -> Prediction:
    """The keypoints of the fitted body."""
    template, rows = motion_template(body, motion), []
    for at in range(0, len(motion), ROWS_AT_ONCE):
        rows.append(keypoints_from(body, template, pose_motion(body, motion, slice(at, at + ROWS_AT_ONCE))))
    points = np.concatenate(rows)
    order = {name: row for row, name in enumerate(body.keypoint_names)}
    pose = points[:, [order[f"pose_{number:02d}"] for number in range(33)]]
    hands = {hand: points[:, [order[f"{hand}_{number:02d}"] for number in range(21)]]
             for hand in ("left_hand", "right_hand")}  # fmt: skip
    face = {int(name[5:]): points[:, row] for name, row in order.items() if name.startswith("face_")}
    valid = {hand: motion.valid_part(hand) for hand in hands}
    pose = np.where(motion.valid_part("body")[:, None, None], pose, np.nan)
    return Prediction(pose, project(pose, motion.K)[..., :2], hands, valid, float(motion.K[0, 0, 0]), face)


def of_mediapipe(video: Path) -> Prediction:
    """World landmarks of Holistic on whole frames. Its hands are in pixels, so only their shape can be compared."""
    from stages.networks.holistic import Holistic
    from stages.networks.opened import Networks
    from stages.video.source import read_frames

    kept: dict[str, list[np.ndarray]] = {name: [] for name in ("pose_world", "pose", "left_hand", "right_hand")}
    holistic = Holistic(Networks())
    for frame in read_frames(video):
        found = holistic.read(frame.rgb)
        for name, rows in kept.items():
            rows.append(found.get(name, np.full((21 if "hand" in name else 33, 3), np.nan)))
    points = {name: np.array(rows, float) for name, rows in kept.items()}
    hands = {hand: points[hand] for hand in ("left_hand", "right_hand")}
    valid = {hand: np.isfinite(rows).all((1, 2)) for hand, rows in hands.items()}
    return Prediction(points["pose_world"], points["pose"][..., :2], hands, valid)


def cells_of_parts(found: Errors, prediction: Prediction, view: View) -> dict[str, float]:
    """The row of the second table; what is unknown is left out."""
    cells = {part: value for part, value in found.parts.items() if np.isfinite(value)}
    for hand, truth in view.hands.items():
        one = hand_errors(prediction.hands[hand], truth, prediction.hands_valid[hand])
        if one is not None:
            cells[f"{hand}_pa"] = one.pa
            if prediction.focal_px is not None:
                cells[hand] = one.wrist
    if view.face is not None and prediction.face:
        numbers = list(prediction.face)
        head = head_errors(np.stack([prediction.face[number] for number in numbers], 1), view.face[:, numbers])
        if head is not None:
            cells |= {"head_turn": head.turn_degrees, "head_scale": head.scale}
    return cells


# ---- the pictures
BONES = ((0, 1), (0, 2), (2, 4), (1, 3), (3, 5), (0, 6), (1, 7), (6, 7), (6, 8), (8, 10), (7, 9), (9, 11))
COLOURS = {"truth": (40, 170, 70), "emosh": (40, 90, 220), "MediaPipe": (235, 120, 20)}
SIDE = 480
METRES = 2.4
"""Width of a panel of space."""


def frame_panel(view: View, predictions: dict[str, Prediction], row: int) -> UInt8[np.ndarray, "height width 3"]:
    """One frame of the video with the points of all in the picture."""
    import cv2

    from stages.video.source import read_frames

    rgb = next(frame.rgb for frame in read_frames(view.video) if frame.index == row).copy()
    flat = {name: prediction.pixels[row][list(NUMBERS)] for name, prediction in predictions.items()}
    for name, points in {"truth": _distorted(view.points[row], view), **flat}.items():
        _draw(rgb, points, COLOURS[name], max(2, rgb.shape[0] // 200))
    return cv2.resize(rgb, (round(rgb.shape[1] * SIDE / rgb.shape[0]), SIDE), interpolation=cv2.INTER_AREA)


def space_panels(view: View, predictions: dict[str, Prediction], row: int) -> UInt8[np.ndarray, "height width 3"]:
    """The points of all, root on root, from three sides."""
    import cv2

    root, panels = list(view.root), []
    space = {"truth": view.points[row], **{name: p.pose[row][list(NUMBERS)] for name, p in predictions.items()}}
    for title, axes in (("from the camera", (0, 1)), ("from the side", (2, 1)), ("from above", (0, 2))):
        panel = np.full((SIDE, SIDE, 3), 255, np.uint8)
        label = f"{view.clip} {view.name} {title}"
        cv2.putText(panel, label, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        for place, (name, points) in enumerate(space.items()):
            away = (points - points[root].mean(0))[:, axes] * SIDE / METRES + SIDE / 2
            _draw(panel, away, COLOURS[name], 2)
            cv2.putText(panel, name, (8, SIDE - 44 + 18 * place), cv2.FONT_HERSHEY_SIMPLEX, 0.5, COLOURS[name], 1,
                        cv2.LINE_AA)  # fmt: skip
        panels.append(panel)
    return np.concatenate(panels, 1)


def _distorted(points: Float[np.ndarray, "12 3"], view: View) -> Float[np.ndarray, "12 2"]:
    import cv2

    known = np.isfinite(points).all(1)
    out = np.full((len(points), 2), np.nan)
    out[known] = cv2.projectPoints(points[known], np.zeros(3), np.zeros(3), view.K, view.distortion)[0][:, 0]
    return out


def _draw(picture: UInt8[np.ndarray, "height width 3"], points, colour, thick: int) -> None:
    import cv2

    for a, b in BONES:
        if np.isfinite(points[[a, b]]).all():
            start, end = ((round(float(x)), round(float(y))) for x, y in points[[a, b]])
            cv2.line(picture, start, end, colour, thick, cv2.LINE_AA)


def compared(view: View, body: Body, config: TrackConfig) -> Iterator[tuple[str, Prediction]]:
    """Both methods on one view."""
    yield "emosh", of_emosh(track(view.video, body, config), body)
    yield "MediaPipe", of_mediapipe(view.video)


def main() -> None:
    """Print and record both tables and the pictures."""
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--view", action="append", help="only this view, CLIP_VIEW; can be repeated")
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="KEY=VALUE")
    options = parser.parse_args()
    chosen = [view for view in views(options.folder) if not options.view or f"{view.clip}_{view.name}" in options.view]
    if not chosen:
        sys.exit(f"no view to measure in {options.folder}")
    body, config = open_body("open"), _config(options.sets)
    what = "The tracker on real video with 3-D truth, beside MediaPipe's world landmarks on the same frames."
    found: list[tuple[View, str, Prediction, Errors]] = []
    panels: list[np.ndarray] = []
    with Recorder(what, *WHOLE, keep=options) as table:
        for view in chosen:
            predictions = dict(compared(view, body, config))
            for method, prediction in predictions.items():
                one = errors(prediction.pose[:, NUMBERS], view, prediction.focal_px is not None)
                found.append((view, method, prediction, one))
                table.row(view=f"{view.clip} {view.name}", facing=view.facing_degrees, method=method, mpjpe=one.mpjpe,
                          scaled=one.scaled, pa=one.pa, across=one.across, along=one.along,
                          acceleration=one.acceleration, placed=one.placed, scale=one.scale,
                          focal=prediction.focal_px, focal_true=float(view.K[0, 0]))  # fmt: skip
            row = len(view.pose) // 2
            panels.append(space_panels(view, predictions, row))
            frame = frame_panel(view, predictions, row)
            _write(UNWRITTEN / f"track_real-{view.clip}-{view.name}.png", np.concatenate([frame, panels[-1]], 1))
        caption = "The middle frame of every view, root on root, no scale: truth green, emosh blue, MediaPipe orange."
        _write(table.picture("track_real.webp", caption), np.concatenate(panels))
        table.note("Root on root (middle of the hips, on desk of the shoulders); one scale for the clip; Procrustes "
                   "per frame. In place: one similarity for the clip, the root where it is.")  # fmt: skip
        table.note("Twelve points: shoulders, elbows, wrists, hips, knees, ankles. emosh's are its own estimate of "
                   "MediaPipe's points on the body.")  # fmt: skip
    what = "The same by part: distance with one scale for the clip, hands wrist on wrist, turn and size of the head."
    with Recorder(what, *BY_PART, keep=options, name=f"{options.name or 'track_real'}_parts") as table:
        for view, method, prediction, one in found:
            table.row(view=f"{view.clip} {view.name}", facing=view.facing_degrees, method=method,
                      **cells_of_parts(one, prediction, view))  # fmt: skip
        table.note("The head's scale is the factor from the fitted to the true size, without the clip's own scale.")


def _write(path: Path, picture: UInt8[np.ndarray, "height width 3"]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def _config(sets: list[str]) -> TrackConfig:
    from emosh_cli.settings import resolve

    return resolve(("track",), [], sets, {})["track"]


if __name__ == "__main__":
    main()
