"""Several processes, one film: torchrun starts the same command several times, the first process does all of it, and
the others only repeat each call of the transformer, whose tokens diffusers' context parallelism splits over all.

So files, folders, locks and words belong to one process, and a call carries a few megabytes to the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

PATIENCE = timedelta(days=2)
"""The helpers wait that long for the first process to track, draw maps and encode."""


def world() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_helper() -> bool:
    """True in every process of torchrun's but the first."""
    return world() > 1 and int(os.environ.get("RANK", "0")) > 0


@contextmanager
def company() -> Iterator[None]:
    """In the first process: hold the others ready while the block runs, and let them go when it ends, however."""
    if world() < 2:
        yield
        return
    _start()
    try:
        yield
    finally:
        _send(None)
        _stop()


def lead(transformer: Any) -> None:
    """In the first process: let the helpers repeat every call of `transformer` from here on."""
    plain = transformer.forward

    def forward(*values: Any, **named: Any) -> Any:
        _send((_to_cpu(values), _to_cpu(named)))
        return plain(*values, **named)

    transformer.forward = forward


def announce(*setup: Any) -> None:
    """In the first process: what the helpers need to load the same transformer."""
    if world() > 1:
        _send(setup)


def told() -> tuple[Any, ...] | None:
    """In a helper: what was announced; None when there is nothing to help with."""
    _start()
    found = _receive()
    if found is None:
        _stop()
    return found


def follow(transformer: Any, device: Any) -> None:
    """In a helper: repeat every call until the first process is done."""
    import torch

    try:
        with torch.no_grad():
            while (call := _receive()) is not None:
                values, named = call
                transformer(*_on(values, device), **_on(named, device))
    finally:
        _stop()


def _start() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend, timeout=PATIENCE)


def _stop() -> None:
    import torch

    torch.distributed.destroy_process_group()


def _send(what: Any) -> None:
    import torch

    torch.distributed.broadcast_object_list([what], src=0, device=torch.device("cpu"))


def _receive() -> Any:
    import torch

    what = [None]
    torch.distributed.broadcast_object_list(what, src=0, device=torch.device("cpu"))
    return what[0]


def _to_cpu(values: Any) -> Any:
    return _on(values, "cpu")


def _on(values: Any, device: Any) -> Any:
    """The same with every tensor on a device."""
    import torch

    if isinstance(values, torch.Tensor):
        return values.to(device)
    if isinstance(values, dict):
        return {name: _on(value, device) for name, value in values.items()}
    if isinstance(values, tuple | list):
        return type(values)(_on(value, device) for value in values)
    return values
