"""A motion's rows posed and projected into a picture: what every drawing starts from.

Camera frame (OpenCV) and metres for vertices; x, y in pixels of the picture that is drawn and z in metres for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.artifacts.motion import PARTS, Motion
from stages.artifacts.motion_shots import shape_runs
from stages.body.camera import project
from stages.body.model import Body, keypoints_from, motion_template, pose_body
from stages.raster.rasterizer import Rasterizer

ROWS_AT_ONCE = 8


@dataclass(frozen=True)
class View:
    """The picture that is drawn. `K` has a row per motion row. `window` is the part that the motion's own picture fills
    (left, top, right, bottom): outside it nothing was seen."""

    width: int
    height: int
    K: Float[np.ndarray, "rows 3 3"]
    window: tuple[float, float, float, float]

    @staticmethod
    def own(motion: Motion) -> View:
        """The motion's own picture."""
        width, height = motion.image_size
        return View(width, height, motion.K, (0.0, 0.0, float(width), float(height)))

    @staticmethod
    def fitted(motion: Motion, width: int, height: int) -> View:
        """The motion's whole picture fitted into `width` x `height` and centred."""
        wide, tall = motion.image_size
        scale = min(width / wide, height / tall)
        left, top = (width - scale * wide) / 2, (height - scale * tall) / 2
        fit = np.array([[scale, 0, left], [0, scale, top], [0, 0, 1]], np.float32)
        return View(width, height, fit @ motion.K, (left, top, left + scale * wide, top + scale * tall))


@dataclass(frozen=True)
class PosedFrame:
    """One row, posed and projected."""

    row: int
    seen: dict[str, bool]
    """Which of PARTS the tracker saw: body, face, left_hand, right_hand."""
    vertices: Float[np.ndarray, "vertices 3"]
    """Camera frame, metres."""
    screen: Float[np.ndarray, "vertices 3"]
    joints: Float[np.ndarray, "55 3"]
    keypoints: dict[str, Float[np.ndarray, "3"]]
    """By the body's own keypoint names."""


def covered(frame: PosedFrame, body: Body, draw: Rasterizer, view: View) -> Bool[np.ndarray, "height width"]:
    """The pixels of the view that the posed body covers."""
    return draw(frame.screen, body.faces, view.width, view.height).face >= 0


def metre_px(frame: PosedFrame, view: View) -> float:
    """The length of one metre at the body's depth, in pixels of the view."""
    return float(view.K[frame.row, 0, 0] / np.median(frame.screen[:, 2]))


def posed_frames(
    motion: Motion, body: Body, view: View, rows: Int[np.ndarray, "picked"] | None = None,
    shift: Float[np.ndarray, "rows 3"] | None = None,
) -> Iterator[PosedFrame]:  # fmt: skip
    """The picked rows in their order (all without `rows`); a row that is picked twice in a row is posed once.

    shift: metres added to each row's translation, as a camera that moves does it.
    """
    rows = np.arange(len(motion)) if rows is None else rows
    runs = [(run, shaped, motion_template(body, shaped)) for run, shaped in shape_runs(motion)]
    trans = motion.trans if shift is None else motion.trans + shift
    wanted = np.unique(rows)
    made: dict[int, PosedFrame] = {}
    for row in rows.tolist():
        if row not in made:
            run, shaped, template = next(each for each in runs if each[0].start <= row < each[0].stop)
            first = int(np.searchsorted(wanted, row))
            some = wanted[first : first + ROWS_AT_ONCE]
            some = some[some < run.stop]
            posed = pose_body(
                body, template, motion.poses[some], trans[some], motion.expression[some], shaped.head_scale
            )
            keypoints = keypoints_from(body, template, posed)
            made = {
                int(each): PosedFrame(
                    int(each),
                    dict(zip(PARTS, motion.valid[each].tolist(), strict=True)),
                    posed.vertices[number],
                    project(posed.vertices[number], view.K[each]),
                    project(posed.joints[number], view.K[each]),
                    dict(zip(body.keypoint_names, project(keypoints[number], view.K[each]), strict=True)),
                )
                for number, each in enumerate(some)
            }
        yield made[row]
