"""Input and interface of a solver. `config.SOLVERS` lists the solvers; each is a module, loaded when it is chosen."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from stages.body.model import Body
from stages.track.config import SOLVERS, TrackConfig
from stages.track.objective import Problem
from stages.track.state import State
from stages.track.targets import TargetGroup

Losses = dict[str, Float[np.ndarray, "frames"]]
"""Unweighted value per frame of each of `terms.TERMS` that the solver has."""


@dataclass(frozen=True)
class Task:
    """One fit: a window of a clip, or the whole clip."""

    problem: Problem
    """The fixed part of the fit, without target groups: a solver picks its own."""
    groups: dict[str, TargetGroup]
    """Target groups of this window by name: body, face, rigid_face, left_hand, right_hand."""
    start: State
    first: State
    """The first guess of these frames, whatever the solver starts from."""
    known_hands: Bool[np.ndarray, "frames 2"]
    """Where the first guess has the left and right hand of another tracker (a prior)."""
    columns: Bool[np.ndarray, "columns"]
    """Frame columns that may change."""
    shape: Bool[np.ndarray, "shape"]
    """Shape entries that may change."""
    body: Body
    config: TrackConfig


@runtime_checkable
class Solver(Protocol):
    """A solver is a module with these two functions."""

    def solve(self, task: Task, report_progress: Callable[[float], None]) -> State:
        """Optimise from the start; call `report_progress` with the share that is done, 0..1."""
        ...

    def losses(self, task: Task, state: State) -> Losses:
        """The terms of the objective at `state`."""
        ...


def solver(name: str) -> Solver:
    """The solver of that name in `config.SOLVERS`."""
    return cast("Solver", importlib.import_module(SOLVERS[name]))
