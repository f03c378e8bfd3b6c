"""Build a dataclass from a JSON object, with every value of the type that the dataclass states."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

Record = TypeVar("Record")


def record_of(kind: type[Record], values: Any) -> Record:
    """A `kind` from a JSON object: lists become tuples, objects nested dataclasses.

    Raises ValueError for a missing or unknown key, and for a value of another type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"expected an object of {kind.__name__}")
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not a known key")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{name!r} is missing")
    return kind(**{name: _value(hints[name], value, name) for name, value in values.items()})


def _value(kind: Any, value: Any, name: str) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _value(next(each for each in inner if each is not type(None)), value, name)
    if origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if Ellipsis in inner else inner
        if len(kinds) == len(value):
            return tuple(_value(each, element, name) for each, element in zip(kinds, value, strict=True))
    elif origin is dict and isinstance(value, dict):
        return {key: _value(inner[1], element, name) for key, element in value.items()}
    elif is_dataclass(kind):
        return record_of(kind, value)  # pyright: ignore[reportArgumentType]
    elif kind is Any or (kind is float and type(value) is int) or type(value) is kind:
        return value
    raise ValueError(f"{name!r} is {str(value)[:40]!r}, expected {getattr(kind, '__name__', kind)}")
