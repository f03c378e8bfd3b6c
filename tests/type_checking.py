"""How annotations are checked at run time, in tests only: shapes by jaxtyping, types by beartype.

An int passes for a float (PEP 484), and a number out of an array for a number. numba compiles what was written, not the
check around it; the check stays on everything that Python calls.
"""

from __future__ import annotations

import functools
import inspect
import sys
from importlib.machinery import SourceFileLoader
from typing import Any
from unittest.mock import patch

import numba
import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from jaxtyping import _import_hook, install_import_hook

NUMBERS = FrozenDict({float: float | int | np.floating | np.integer, int: int | np.integer})
checked = beartype(conf=BeartypeConf(hint_overrides=NUMBERS))


def check_stages() -> None:
    """Check every module of `stages` that is imported from here on. None may have been imported before."""
    early = [name for name in sys.modules if name.partition(".")[0] == "stages"]
    assert not early, f"imported before it could be checked: {early}"
    numba.njit = _of_what_was_written(numba.njit)
    _look_up_own_bytecode_only()
    install_import_hook("stages", f"{__name__}.checked")


def _of_what_was_written(njit: Any) -> Any:
    """numba's decorator, applied to the function inside the checks."""

    @functools.wraps(njit)
    def decorate(*functions: Any, **options: Any) -> Any:
        if functions:
            return njit(*map(inspect.unwrap, functions), **options)
        return lambda function: njit(**options)(inspect.unwrap(function))

    return decorate


def _look_up_own_bytecode_only() -> None:
    """jaxtyping's loader renames the bytecode of all that is imported while a checked module runs, so that torch and
    diffusers would be compiled anew: 10 s of a run. Here it renames that of the checked module alone."""
    loader = _import_hook._JaxtypingLoader

    def get_code(self: Any, name: str) -> Any:
        renamed = functools.partial(_import_hook._optimized_cache_from_source, self._typechecker.get_hash())
        with patch("importlib._bootstrap_external.cache_from_source", renamed):
            return SourceFileLoader.get_code(self, name)

    loader.get_code, loader.exec_module = get_code, SourceFileLoader.exec_module
