"""The shots of a motion: each as a motion of its own, and joined again. Nothing may be smoothed across a cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion, per_row, select_rows


def shape_of(motion: Motion) -> Float[np.ndarray, "shape"]:
    """betas, head_betas, head_scale and hand_scale in one row, as in `emosh_shot_shapes`."""
    return np.concatenate([motion.betas, motion.head_betas, [motion.head_scale, motion.hand_scale]]).astype(np.float32)


def with_shape(motion: Motion, shape: Float[np.ndarray, "shape"]) -> Motion:
    """The motion with this shape in every row."""
    count = len(motion.betas)
    return replace(
        motion, betas=shape[:count], head_betas=shape[count:-2], head_scale=float(shape[-2]),
        hand_scale=float(shape[-1]), shot_shapes=None,
    )  # fmt: skip


def shape_runs(motion: Motion) -> list[tuple[slice, Motion]]:
    """Rows that have one shape, and the whole motion with that shape: one entry, or one per shot."""
    if motion.shot_shapes is None or motion.shot is None:
        return [(slice(0, len(motion)), motion)]
    return [(rows, with_shape(motion, motion.shot_shapes[motion.shot[rows.start]])) for rows in motion.shots]


def split_shots(motion: Motion) -> list[Motion]:
    """Each shot as a motion of one shot, with its own shape."""
    if motion.shot_shapes is None:
        return [replace(select_rows(motion, rows), shot=None) for rows in motion.shots]
    return [replace(select_rows(shaped, rows), shot=None) for rows, shaped in shape_runs(motion)]


def join_shots(parts: list[Motion]) -> Motion:
    """The motions of consecutive shots as one. Everything that has no row per frame is taken from the part with most
    valid bodies, the shape too; `shot_shapes` is set if the shapes differ."""
    main = max(parts, key=lambda part: int(part.valid[:, 0].sum()))
    rows = [per_row(replace(part, shot=np.full(len(part), number))) for number, part in enumerate(parts)]
    shapes = np.stack([shape_of(part) for part in parts])
    return replace(
        main,
        **{name: np.concatenate([each[name] for each in rows]) for name in rows[0]},
        shot_shapes=None if (shapes == shapes[0]).all() else shapes,
    )
