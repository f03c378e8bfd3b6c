"""The values in a model's config.json, before a model is built of them: types, and sizes that a model can have."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.errors import InputError

MOST = 1_000_000
"""Largest number in a config. Widths have five digits, vocabularies six."""


def check_values(folder: Path, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Compare each value with the default of its key: the same type, and within bounds.

    A default of None stands for whole numbers or none. Raises InputError naming the key.
    """
    for key, default in defaults.items():
        if key in config and not _fits(config[key], default):
            raise InputError(
                f"{folder / 'config.json'}: {key} is {str(config[key])[:40]!r}, expected one like {default!r}; "
                "fetch the model again"
            )


def defaults_of(build: Callable[..., Any]) -> dict[str, Any]:
    """Argument -> default of a model's constructor."""
    given = inspect.signature(build).parameters.values()
    return {each.name: each.default for each in given if each.default is not inspect.Parameter.empty}


def _fits(value: Any, default: Any) -> bool:
    if default is None:
        return value is None or any(_fits(value, example) for example in (0, [0], {"": 0}))
    if isinstance(default, bool | str):
        return type(value) is type(default)
    if isinstance(default, int):
        return type(value) is int and 0 <= value <= MOST
    if isinstance(default, float):
        return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MOST
    if isinstance(default, list | tuple):
        example = default[0] if default else 0.0
        return isinstance(value, list | tuple) and all(_fits(each, example) for each in value)
    if isinstance(default, Mapping):
        example = next(iter(default.values()))
        return isinstance(value, Mapping) and all(_fits(each, example) for each in value.values())
    return True


@contextmanager
def explained(folder: Path, doing: str = "cannot be loaded") -> Iterator[None]:
    """Turn whatever diffusers and transformers raise on a damaged component into an InputError that names the folder.

    They raise nearly anything: their own classes, TypeErrors of torch, KeyErrors of their tables.
    """
    import torch

    try:
        yield
    except (InputError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{folder} {doing} ({reason}); fetch the model again") from error
