"""One table per artifact: names, axes, types and meanings. The table is both validator and documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from stages.errors import InputError

KINDS = {"float": "f", "int": "iu", "bool": "b", "text": "U"}


@runtime_checkable
class Shaped(Protocol):
    """An array or its header."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Number type."""
        ...


@dataclass(frozen=True)
class Field:
    """One array: axes by name ("frames 3": a number is a fixed size), kind, meaning."""

    name: str
    axes: str
    kind: str
    meaning: str
    required: bool = True
    finite: bool = True
    least: float = -math.inf
    most: float = math.inf
    """Every value lies between `least` and `most`, both included."""
    rises: bool = False
    """Whether each value is larger than the one before."""


@dataclass(frozen=True)
class Schema:
    """The table of fields of an artifact. The file holds `kind` and `version` as `emosh_kind` and `emosh_schema`."""

    kind: str
    version: int
    fields: tuple[Field, ...]

    def validate(self, arrays: Mapping[str, np.ndarray], where: str) -> dict[str, int]:
        """Check names, types, shapes and values; return the size of each named axis.

        Raises InputError naming file, array and, for a wrong value, the first bad row.
        """
        sizes = self.check_shapes(arrays, where)
        for row in self.fields:
            if row.name in arrays:
                _check_finite(row, arrays[row.name], where)
                _check_range(row, arrays[row.name], where)
        return sizes

    def check_shapes(self, arrays: Mapping[str, Shaped], where: str) -> dict[str, int]:
        """As `validate`, without the check of values: headers are enough."""
        sizes: dict[str, int] = {}
        for row in self.fields:
            if row.name not in arrays:
                if row.required:
                    raise InputError(f"{where}: array '{row.name}' is missing; this is not a complete {self.kind} file")
                continue
            _check(row, arrays[row.name], sizes, where)
        return sizes


def _check(row: Field, array: Shaped, sizes: dict[str, int], where: str) -> None:
    if array.dtype.kind not in KINDS[row.kind]:
        raise InputError(f"{where}: array '{row.name}' holds {array.dtype}, expected {row.kind}")
    axes = row.axes.split()
    if len(array.shape) != len(axes):
        raise InputError(f"{where}: array '{row.name}' has shape {array.shape}, expected ({', '.join(axes)})")
    for size, axis in zip(array.shape, axes, strict=True):
        expected = int(axis) if axis.isdigit() else sizes.setdefault(axis, size)
        if size != expected:
            raise InputError(f"{where}: array '{row.name}' has shape {array.shape}, but {axis} is {expected}")


def _check_finite(row: Field, array: np.ndarray, where: str) -> None:
    if row.finite and row.kind == "float" and not np.isfinite(array).all():
        first = int(np.argwhere(~np.isfinite(np.atleast_1d(array)))[0][0])
        raise InputError(f"{where}: array '{row.name}' is not finite at row {first}; make the file again")


def _check_range(row: Field, array: np.ndarray, where: str) -> None:
    if row.kind == "text" or not array.size:
        return
    values = np.atleast_1d(array)
    if not (row.rises or math.isfinite(row.least) or math.isfinite(row.most)):
        return
    outside = (values < row.least) | (values > row.most)
    if outside.any():
        first = tuple(int(place) for place in np.argwhere(outside)[0])
        raise InputError(
            f"{where}: array '{row.name}' is {values[first]:g} at row {first[0]}, "
            f"expected {row.least:g} to {row.most:g}; make the file again"
        )
    falls = np.flatnonzero(np.diff(values) <= 0) if row.rises else np.zeros(0)
    if len(falls):
        raise InputError(f"{where}: array '{row.name}' does not rise at row {int(falls[0]) + 1}; make the file again")
