"""Work on the pieces of one array on every core: plain threads, because numpy and LAPACK leave the interpreter lock.

What is cut into pieces, and in what order their results are added up, never depends on the machine, so neither does
the result.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from stages.cores import usable_cores

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def on_all_cores(work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> list[Result]:
    """`work` of every piece, results in the pieces' order."""
    return list(_pool().map(work, pieces))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(usable_cores(), "fit")


def invert(matrix: Float[np.ndarray, "n n"]) -> None:
    """Invert a symmetric positive definite, C-contiguous matrix in place; only its lower triangle is read.

    By Cholesky, half the work of a general inverse, in LAPACK's dpotrf and dpotri, called without the interpreter
    lock, which scipy's own wrappers of the two hold. Raises np.linalg.LinAlgError when it is not positive definite.
    """
    size, failed = ctypes.c_int(len(matrix)), ctypes.c_int(0)
    data = matrix.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    for routine in ("dpotrf", "dpotri"):
        # "U": what LAPACK, column by column, calls upper is the lower triangle of a C array
        _lapack(routine)(b"U", ctypes.byref(size), data, ctypes.byref(size), ctypes.byref(failed))
        if failed.value:
            raise np.linalg.LinAlgError("normal equations are not positive definite")
    np.copyto(matrix, matrix.T, where=_above_diagonal(len(matrix)))


@cache
def _lapack(name: str) -> Callable[..., None]:
    """A routine of `scipy.linalg.cython_lapack`, whose function pointers are public and come with their C types."""
    import scipy.linalg.cython_lapack as cython_lapack  # pyright: ignore[reportMissingImports]

    capsule = cython_lapack.__pyx_capi__[name]
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
