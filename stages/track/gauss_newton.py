"""Levenberg-Marquardt over a whole clip: linearise, solve the normal equations, keep steps that lower the objective."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool

from stages.track.block_arrow import solve
from stages.track.objective import NormalEquations, Problem, cost, normal_equations
from stages.track.state import State

DAMPING_START, DAMPING_DOWN, DAMPING_UP = 1e-2, 0.3, 6.0
TRIES = 6
FLOOR = 1e-8
"""Added to every diagonal entry, so that frames without any measurement of the translation stay solvable."""


def minimise(
    problem: Problem,
    state: State,
    columns: Bool[np.ndarray, "columns"],
    shape: Bool[np.ndarray, "shape"],
    iterations: int,
    tolerance: float,
    step_done: Callable[[int], None] = lambda iteration: None,
) -> State:
    """Improve `state` in the active `columns` and `shape` entries; the others stay as they are.

    Stops when an iteration lowers the objective by less than the share `tolerance`, or no step lowers it.
    """
    damping, best = DAMPING_START, cost(problem, state)
    normal = NormalEquations.zeros(len(state), int(columns.sum()), int(shape.sum()))
    blocks = np.empty_like(normal.blocks)
    for iteration in range(iterations):
        normal_equations(problem, state, columns, shape, normal)
        before = best
        for _ in range(TRIES):
            trial = _step(normal, blocks, state, columns, shape, damping, problem.priors.shape_bound)
            value = cost(problem, trial)
            if value < best:
                state, best, damping = trial, value, damping * DAMPING_DOWN
                break
            damping *= DAMPING_UP
        step_done(iteration + 1)
        if before - best < tolerance * before:
            break
    return state


def _step(normal: NormalEquations, blocks, state: State, columns, shape, damping: float, bound) -> State:
    """The state after one step of the damped equations; `blocks` is scratch memory for a copy of the blocks."""
    np.copyto(blocks, normal.blocks)
    diagonal = np.einsum("tcc->tc", blocks)
    diagonal[...] = (1 + damping) * diagonal + FLOOR
    shape_block = normal.shape_block + damping * np.diag(np.diag(normal.shape_block))
    moved, reshaped = solve(blocks, normal.between, normal.arrow, shape_block, normal.gradient, normal.shape_gradient)
    full = np.zeros((len(state), state.width))
    full[:, columns] = moved
    shape_step = np.zeros(len(state.shape))
    shape_step[shape] = reshaped
    shape_step = np.clip(state.shape + shape_step, -bound, bound) - state.shape
    return state.after_step(full, shape_step)
