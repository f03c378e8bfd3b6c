"""Shape consistency (paper 0.D.1): has the person in the result the body of the person in the photo?

The paper compares GVHMR's shapes with a similarity whose formula it does not give. Ours is open: reference and single
frames of the result are tracked each alone, as photos, and compared by the cosine of their betas and in centimetres on
the body standing in T-pose. The same photo tracked again after harmless changes says how far the tracker itself moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body, shape_vector, shaped_template
from stages.body.same_body import require_same_body
from stages.errors import InputError

MEASURES = ("height", "shoulders", "hips", "arm", "leg", "torso")
RATIOS = ("shoulders", "hips", "arm", "leg", "torso")
"""Over the height: what one camera can know without the person's size."""
DEFINITION = (
    "cosine of the body-shape coefficients, and differences in cm of the body in T-pose with the reference's head: "
    "height of the mesh, shoulder and hip joints' distances, shoulder-elbow-wrist, hip-knee-ankle, neck-pelvis (mean "
    "of both sides); ratios are over the height. to_reference: frames of the result, each tracked alone, against the "
    "photo; sizeless_cosine: of the surface's offsets from the mean body, both brought to the mean body's height, head "
    "left out: one camera hardly knows a person's size, and size rules the betas; whole_clip: the result tracked at "
    "once; among_frames: against one another; repeat: the photo against itself tracked again after mirroring, "
    "shrinking, brightening and JPEG, the tracker's own error"
)


def shape_consistency(
    reference: Motion, frames: Sequence[Motion], repeats: Sequence[Motion], body: Body, whole: Motion | None = None
) -> dict[str, Any]:
    """Figures for a result, with the tracker's repeat error beside them.

    reference: the photo's motion. frames: single frames of the result, tracked as photos; those in which nobody was
    found are to be left out by the caller, who counts them. repeats: the photo tracked again. whole: the
    result tracked as a clip.
    Raises InputError when no frame is given or body files differ.
    """
    if not frames:
        raise InputError("nobody was found in any of the result's frames that were looked at; its shape is unknown")
    for motion in (reference, *frames, *repeats):
        require_same_body("shape", motion, body)
    return {
        "definition": DEFINITION,
        "frames": len(frames),
        "reference_cm": measures_cm(body, reference, reference),
        "to_reference": _compared([(reference, each) for each in frames], body),
        "among_frames": _compared(list(combinations(frames, 2)), body),
        "whole_clip": _compared([(reference, whole)] if whole is not None else [], body),
        "repeat": _compared([(reference, each) for each in repeats], body),
        "per_frame_cosine": [round(cosine(reference.betas, each.betas), 6) for each in frames],
    }


def cosine(first: Float[np.ndarray, "betas"], second: Float[np.ndarray, "betas"]) -> float:
    """Of the angle between two shapes; 1 where both are the mean shape, 0 where only one is."""
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if min(lengths) < 1e-9:
        return float(max(lengths) < 1e-9)
    return float(np.dot(first, second) / (lengths[0] * lengths[1]))


def sizeless_cosine(body: Body, first: Motion, second: Motion) -> float:
    """Cosine of two bodies' offsets from the mean body in T-pose, all three as tall as the mean, without heads."""
    trunk = ~body.part_vertices("head")
    offsets = []
    for motion in (first, second):
        template = shaped_template(body, shape_vector(body, motion.betas, first.head_betas, first.head_scale, 1.0))
        offsets.append((as_tall(template, body.v_template) - _centred(body.v_template))[trunk].ravel())
    return cosine(*offsets)


def as_tall(
    vertices: Float[np.ndarray, "vertices 3"], like: Float[np.ndarray, "vertices 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Centred, and scaled to the height of `like`."""
    return _centred(vertices) * (np.ptp(like[:, 1]) / np.ptp(vertices[:, 1]))


def _centred(vertices: np.ndarray) -> np.ndarray:
    return vertices - vertices.mean(0)


def measures_cm(body: Body, motion: Motion, head: Motion) -> dict[str, float]:
    """MEASURES of a motion's body under another's head, which must not count."""
    template = shaped_template(body, shape_vector(body, motion.betas, head.head_betas, head.head_scale, 1.0))
    joints: dict[str, np.ndarray] = dict(zip(JOINT_NAMES, body.J_regressor @ template, strict=True))

    def chain(*names: str) -> float:
        return sum(float(np.linalg.norm(joints[a] - joints[b])) for a, b in pairwise(names))

    def both(*names: str) -> float:
        return (chain(*(f"left_{each}" for each in names)) + chain(*(f"right_{each}" for each in names))) / 2

    metres = {
        "height": float(np.ptp(template[:, 1])),
        "shoulders": chain("left_shoulder", "right_shoulder"),
        "hips": chain("left_hip", "right_hip"),
        "arm": both("shoulder", "elbow", "wrist"),
        "leg": both("hip", "knee", "ankle"),
        "torso": chain("neck", "pelvis"),
    }
    return {name: 100 * value for name, value in metres.items()}


def _compared(pairs: Sequence[tuple[Motion, Motion]], body: Body) -> dict[str, Any] | None:
    """Means over pairs; None where there are none."""
    if not pairs:
        return None
    own, other = ([measures_cm(body, pair[side], pair[0]) for pair in pairs] for side in (0, 1))
    ratios = [[abs(b[n] / b["height"] - a[n] / a["height"]) for n in RATIOS] for a, b in zip(own, other, strict=True)]
    return {
        "pairs": len(pairs),
        "betas_cosine": float(np.mean([cosine(a.betas, b.betas) for a, b in pairs])),
        "sizeless_cosine": float(np.mean([sizeless_cosine(body, a, b) for a, b in pairs])),
        "difference_cm": {
            name: float(np.mean([abs(b[name] - a[name]) for a, b in zip(own, other, strict=True)])) for name in MEASURES
        },
        "ratio_difference": {name: float(value) for name, value in zip(RATIOS, np.mean(ratios, 0), strict=True)},
    }
