"""numba's `njit` with its results kept on disk, wherever there is room for them.

numba keeps them beside the code or in the user's home. Installed read-only and without a home, as in a container, it
refuses to compile; then they go to the user's temporary folder, and without one they are compiled in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from stages.artifacts.leftovers import temporary_home

Function = TypeVar("Function", bound=Callable[..., Any])


def njit(**options: Any) -> Callable[[Function], Function]:
    """A decorator, as `numba.njit(cache=True, **options)`."""
    import numba
    import numba.core.config

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
