"""Shape consistency (paper 0.D.1): does the person in the result have the body of the person in the photo?

The paper compares GVHMR's shapes with a similarity whose formula it does not give. Here the photo and single frames of
the result are each tracked alone, as photos. They are compared by the cosine of their betas, and in centimetres on the
body in T-pose. The same photo tracked again after harmless changes shows the tracker's own error.
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

MEASUREMENTS = ("height", "shoulders", "hips", "arm", "leg", "torso")
RATIOS = ("shoulders", "hips", "arm", "leg", "torso")
"""Measurements that are also given over the height: one camera can see ratios without knowing the person's size."""
DEFINITION = (
    "cosine of the betas, and differences in cm of the body in T-pose with the reference's head: height of the mesh, "
    "distance of the shoulder joints, of the hip joints, shoulder-elbow-wrist, hip-knee-ankle, neck-pelvis (mean of "
    "both sides); ratios are over the height. to_reference: frames of the result, each tracked alone, against the "
    "photo; sizeless_cosine: cosine of the surfaces' offsets from the mean body, both scaled to its height, without "
    "the head, because one camera hardly sees a person's size and size dominates the betas; whole_clip: the "
    "result tracked as one clip; among_frames: frames against one another; repeat: the photo against itself tracked "
    "again after mirroring, shrinking, brightening and JPEG, which is the tracker's own error"
)


def shape_consistency(
    reference: Motion, frames: Sequence[Motion], repeats: Sequence[Motion], body: Body, whole: Motion | None = None
) -> dict[str, Any]:
    """Shape figures of a result, with the tracker's repeat error.

    reference: the photo's motion. frames: single frames of the result, tracked as photos; the caller leaves out and
    counts those without a person. repeats: the photo tracked again. whole: the result tracked as a clip.
    Raises InputError when there is no frame or body files differ.
    """
    if not frames:
        raise InputError("no person was found in the measured frames of the result; its shape cannot be compared")
    for motion in (reference, *frames, *repeats):
        require_same_body("shape", motion, body)
    return {
        "definition": DEFINITION,
        "frames": len(frames),
        "reference_cm": measurements_cm(body, reference, reference),
        "to_reference": _compared([(reference, each) for each in frames], body),
        "among_frames": _compared(list(combinations(frames, 2)), body),
        "whole_clip": _compared([(reference, whole)] if whole is not None else [], body),
        "repeat": _compared([(reference, each) for each in repeats], body),
        "per_frame_cosine": [round(cosine(reference.betas, each.betas), 6) for each in frames],
    }


def cosine(first: Float[np.ndarray, "betas"], second: Float[np.ndarray, "betas"]) -> float:
    """Cosine of the angle between two shapes; 1 if both are the mean shape, 0 if only one is."""
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if min(lengths) < 1e-9:
        return float(max(lengths) < 1e-9)
    return float(np.dot(first, second) / (lengths[0] * lengths[1]))


def sizeless_cosine(body: Body, first: Motion, second: Motion) -> float:
    """Cosine of two bodies' offsets from the mean body, in T-pose, without heads, both scaled to the mean's height."""
    trunk = ~body.part_vertices("head")
    offsets = []
    for motion in (first, second):
        template = shaped_template(body, shape_vector(body, motion.betas, first.head_betas, first.head_scale, 1.0))
        offsets.append((scaled_to_height_of(template, body.v_template) - _centred(body.v_template))[trunk].ravel())
    return cosine(*offsets)


def scaled_to_height_of(
    vertices: Float[np.ndarray, "vertices 3"], like: Float[np.ndarray, "vertices 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """The vertices, centred and scaled to the height of `like`."""
    return _centred(vertices) * (np.ptp(like[:, 1]) / np.ptp(vertices[:, 1]))


def _centred(vertices: np.ndarray) -> np.ndarray:
    return vertices - vertices.mean(0)


def measurements_cm(body: Body, motion: Motion, head: Motion) -> dict[str, float]:
    """MEASUREMENTS of a motion's body in cm, with the head of the motion `head`, so that heads do not count."""
    template = shaped_template(body, shape_vector(body, motion.betas, head.head_betas, head.head_scale, 1.0))
    joints: dict[str, np.ndarray] = dict(zip(JOINT_NAMES, body.J_regressor @ template, strict=True))

    def length(*names: str) -> float:
        return sum(float(np.linalg.norm(joints[a] - joints[b])) for a, b in pairwise(names))

    def both(*names: str) -> float:
        return (length(*(f"left_{each}" for each in names)) + length(*(f"right_{each}" for each in names))) / 2

    metres = {
        "height": float(np.ptp(template[:, 1])),
        "shoulders": length("left_shoulder", "right_shoulder"),
        "hips": length("left_hip", "right_hip"),
        "arm": both("shoulder", "elbow", "wrist"),
        "leg": both("hip", "knee", "ankle"),
        "torso": length("neck", "pelvis"),
    }
    return {name: 100 * value for name, value in metres.items()}


def _compared(pairs: Sequence[tuple[Motion, Motion]], body: Body) -> dict[str, Any] | None:
    """Means over pairs; None without pairs."""
    if not pairs:
        return None
    own, other = ([measurements_cm(body, pair[side], pair[0]) for pair in pairs] for side in (0, 1))
    ratios = [[abs(b[n] / b["height"] - a[n] / a["height"]) for n in RATIOS] for a, b in zip(own, other, strict=True)]
    return {
        "pairs": len(pairs),
        "betas_cosine": float(np.mean([cosine(a.betas, b.betas) for a, b in pairs])),
        "sizeless_cosine": float(np.mean([sizeless_cosine(body, a, b) for a, b in pairs])),
        "difference_cm": {
            name: float(np.mean([abs(b[name] - a[name]) for a, b in zip(own, other, strict=True)]))
            for name in MEASUREMENTS
        },
        "ratio_difference": {name: float(value) for name, value in zip(RATIOS, np.mean(ratios, 0), strict=True)},
    }
