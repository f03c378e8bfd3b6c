"""Fit a clip shot by shot: nothing is linked across a cut, and shots of one person have one shape.

The shot of a person with the most valid frames gives the shape; the person's other shots are fitted with that shape.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import BODY_PARTS, Motion
from stages.artifacts.motion_shots import join_shots
from stages.body.model import Body
from stages.detect.gates import GateConfig, gate
from stages.detect.observations import Observations
from stages.priors.prior import Prior
from stages.progress import Progress, silent
from stages.track.config import TrackConfig
from stages.track.fit import fit

HELD = ("trans", "poses", "expression", "K")
"""What a shot without the person takes from the nearest row of another shot."""


def fit_shots(
    observations: Observations,
    body: Body,
    config: TrackConfig = TrackConfig(),
    progress: Progress = silent,
    prior: Prior | None = None,
    metadata_px: float | None = None,
) -> Motion:
    """Fit one person in every shot of a clip; see `fit`. Each shot has its own focal length. Shots without the person
    hold a neighbour's pose, invalid."""
    shots = observations.shots
    if len(shots) == 1:
        return fit(observations, body, config, progress, prior, metadata_px=metadata_px)
    parts = [observations.select(rows) for rows in shots]
    seen = [_frames_seen(part, config) for part in parts]
    shapes: dict[int, Float[np.ndarray, "shape"]] = {}
    motions: list[Motion | None] = [None] * len(shots)
    for number in np.argsort([-each for each in seen], kind="stable").tolist():
        rows, identity = shots[number], int(parts[number].identity[0])
        if seen[number] or not shapes:
            own = None if prior is None else prior.select(rows)
            done = _after(progress, rows.start, len(observations))
            shape = shapes.get(identity)
            motion = motions[number] = fit(parts[number], body, config, done, own, shape, metadata_px)
            shapes.setdefault(identity, _fitted_shape(motion))
    return join_shots(_filled(motions, parts))


def _frames_seen(part: Observations, config: TrackConfig) -> int:
    """Valid bodies and faces of a shot."""
    return int(gate(part, GateConfig(off=config.gates_off)).valid[:, :2].sum())


def _fitted_shape(motion: Motion) -> Float[np.ndarray, "shape"]:
    """The shape as the fit's columns: betas, head betas, head scale - 1, hand scale - 1."""
    scales = [motion.head_scale - 1, motion.hand_scale - 1]
    return np.concatenate([motion.betas, motion.head_betas, scales]).astype(np.float64)


def _after(progress: Progress, first: int, frames: int) -> Progress:
    """Progress of one shot as progress of the clip."""
    return lambda label, done, total: progress(label, first + done, frames)


def _filled(motions: list[Motion | None], parts: list[Observations]) -> list[Motion]:
    """The motions of all shots. A shot that was not fitted holds the last pose before it, or else the next one."""
    filled = []
    for number, (motion, part) in enumerate(zip(motions, parts, strict=True)):
        if motion is None:
            before = [each for each in motions[:number] if each is not None]
            after = [each for each in motions[number:] if each is not None]
            motion = _held(before[-1], -1, part) if before else _held(after[0], 0, part)
        filled.append(motion)
    return filled


def _unknown(motion: Motion, frames: int) -> dict[str, Float[np.ndarray, "frames 8"]]:
    """No expected errors, where the other shots have some."""
    if motion.expected_mm is None:
        return {}
    return {name: np.full((frames, len(BODY_PARTS)), np.nan, np.float32) for name in ("expected_mm", "expected_px")}


def _held(motion: Motion, row: int, part: Observations) -> Motion:
    """One pose of a motion in every frame of a shot, invalid."""
    frames = len(part)
    still = {name: np.repeat(getattr(motion, name)[[row]], frames, 0) for name in HELD}
    sizes = {name: np.zeros(frames, np.float32) for name in ("face_height_px", "shoulder_width_px")}
    return replace(
        motion, **still, **sizes, frame_index=part.frame_index, pts_seconds=part.pts_seconds,
        valid=np.zeros((frames, 4), bool), confidence=np.zeros((frames, 4), np.float32),
        error_px=np.zeros((frames, 4), np.float32), gates=np.zeros((frames, len(motion.gate_names)), np.float32),
        **_unknown(motion, frames),
    )  # fmt: skip
