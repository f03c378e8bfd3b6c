"""What a solver is given and what it must do. `config.SOLVERS` names them; each is a module, loaded when chosen."""

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
from stages.track.targets import Group

Losses = dict[str, Float[np.ndarray, "frames"]]
"""Unweighted value of each of `terms.TERMS` that the solver has, per frame."""


@dataclass(frozen=True)
class Task:
    """One window, or the whole clip."""

    problem: Problem
    """Without groups: a solver picks its own."""
    groups: dict[str, Group]
    """By name: body, face, rigid_face, left_hand, right_hand; rows of this window."""
    start: State
    columns: Bool[np.ndarray, "columns"]
    """Frame columns that may change."""
    shape: Bool[np.ndarray, "shape"]
    """Shape entries that may change."""
    body: Body
    config: TrackConfig


@runtime_checkable
class Solver(Protocol):
    """A module with these two functions."""

    def solve(self, task: Task, tell: Callable[[float], None]) -> State:
        """Improve the start; `tell` the share that is done."""
        ...

    def losses(self, task: Task, state: State) -> Losses:
        """The terms of the objective at `state`."""
        ...


def solver(name: str) -> Solver:
    """The solver of that name in `config.SOLVERS`."""
    return cast("Solver", importlib.import_module(SOLVERS[name]))
