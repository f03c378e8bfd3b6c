"""numba's `njit` with its results kept on disk, wherever there is room for them.

numba keeps them beside the code or in the user's home. Installed read-only and without a home, as in a container, it
refuses to compile; then they go to the user's temporary folder, and without one they are compiled in every process.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from stages.artifacts.leftovers import temporary_home

Function = TypeVar("Function", bound=Callable[..., Any])


def njit(**options: Any) -> Callable[[Function], Function]:
    """A decorator, as `numba.njit(cache=True, **options)`."""
    import numba
    import numba.core.config

    for name in ("cython_blas", "cython_lapack"):  # numba asks whether they are there
        scipy_linalg(name)

    def compiled(function: Function) -> Function:
        try:
            return cast(Function, numba.njit(cache=True, **options)(function))
        except RuntimeError as error:  # at this point only: no place for the cache
            if "cannot cache" not in str(error):
                raise
        home = temporary_home()
        if home is None:
            return cast(Function, numba.njit(**options)(function))
        numba.core.config.CACHE_DIR = str(home / "numba")  # pyright: ignore[reportAttributeAccessIssue]
        return cast(Function, numba.njit(cache=True, **options)(function))

    return compiled


def scipy_linalg(name: str) -> ModuleType:
    """The module `scipy.linalg.NAME` alone, where it is not loaded yet: it takes 6 ms, the package around it 140."""
    full = f"scipy.linalg.{name}"
    if full not in sys.modules:
        import scipy

        spec = PathFinder.find_spec(full, [str(Path(folder) / "linalg") for folder in scipy.__path__])
        if spec is not None and spec.loader is not None:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[full] = module
    return importlib.import_module(full)
