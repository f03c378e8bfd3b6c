"""Work on the pieces of an array on every core, in threads, because numpy and LAPACK release the interpreter lock.

The pieces and the order of their sum do not depend on the machine. Therefore the result does not depend on it either.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from stages.compiled import scipy_linalg
from stages.cores import usable_cores

Piece = TypeVar("Piece")
Result = TypeVar("Result")
NAME = "emosh-fit"
"""First part of the names of the threads."""


def on_all_cores(work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> list[Result]:
    """Call `work` on every piece; results in the order of the pieces. A piece that calls this works alone."""
    pieces = list(pieces)
    if len(pieces) == 1 or threading.current_thread().name.startswith(NAME):
        return [work(piece) for piece in pieces]
    return list(_pool().map(work, pieces))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(usable_cores(), NAME)


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads, and would wait for them
    os.register_at_fork(after_in_child=_pool.cache_clear)


@contextmanager
def single_threaded_algebra() -> Iterator[None]:
    """Keep numpy and scipy from threads of their own: on small matrices they wait for each other more than they work.

    scipy has a BLAS of its own, and a limit does not reach one that is loaded later. Loaded inside the limit it took
    30 to 80 s on a busy machine for a fit of 3 s.
    """
    from threadpoolctl import threadpool_limits

    _lapack("dpotrf")
    with threadpool_limits(1):
        yield


def invert_positive_definite(matrix: Float[np.ndarray, "n n"]) -> None:
    """Invert a symmetric positive definite, C-contiguous matrix in place; only its lower triangle is read.

    Uses Cholesky, half the work of a general inverse, by LAPACK's dpotrf and dpotri. They are called without the
    interpreter lock, which scipy's own wrappers of them hold. Raises np.linalg.LinAlgError when the matrix is not
    positive definite.
    """
    size, failed = ctypes.c_int(len(matrix)), ctypes.c_int(0)
    data = matrix.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    for routine in ("dpotrf", "dpotri"):
        # "U": LAPACK stores by columns, so its upper triangle is the lower triangle of a C array
        _lapack(routine)(b"U", ctypes.byref(size), data, ctypes.byref(size), ctypes.byref(failed))
        if failed.value:
            raise np.linalg.LinAlgError("normal equations are not positive definite")
    np.copyto(matrix, matrix.T, where=_above_diagonal(len(matrix)))


@cache
def _lapack(name: str) -> Callable[..., None]:
    """A routine of `scipy.linalg.cython_lapack`, whose function pointers and C types are public."""
    capsule = scipy_linalg("cython_lapack").__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    number = ctypes.POINTER(ctypes.c_int)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_char_p, number, ctypes.POINTER(ctypes.c_double), number, number)
    return kind(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


@cache
def _above_diagonal(size: int) -> np.ndarray:
    return np.triu(np.ones((size, size), bool), 1)
