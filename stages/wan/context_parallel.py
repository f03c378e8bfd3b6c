"""One clip on several GPUs. torchrun starts the same command in several processes. The first process runs the command;
the others (helpers) only repeat each call of the transformer, whose tokens diffusers' context parallelism splits over
all processes.

Only the first process reads and writes files and prints. A call sends a few megabytes to the helpers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

HELPER_TIMEOUT = timedelta(days=2)
"""How long a helper waits for the first process, which may have to track, draw maps and encode first."""


def process_count() -> int:
    """Number of processes that torchrun started; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_helper() -> bool:
    """Whether this process is one of torchrun's, but not the first."""
    return process_count() > 1 and int(os.environ.get("RANK", "0")) > 0


@contextmanager
def helpers_held_ready() -> Iterator[None]:
    """In the first process: connect to the helpers while the block runs. Its end releases them, also after an error."""
    if process_count() < 2:
        yield
        return
    _start()
    try:
        yield
    finally:
        _send(None)
        _stop()


def share_calls(transformer: Any) -> None:
    """In the first process: from now on, send every call of `transformer` to the helpers too."""
    plain = transformer.forward

    def forward(*values: Any, **named: Any) -> Any:
        _send((_to_cpu(values), _to_cpu(named)))
        return plain(*values, **named)

    transformer.forward = forward


def send_setup(*setup: Any) -> None:
    """In the first process: send the helpers what they need to load the same transformer."""
    if process_count() > 1:
        _send(setup)


def receive_setup() -> tuple[Any, ...] | None:
    """In a helper: wait for what `send_setup` sends. None when the first process ended without drawing."""
    _start()
    found = _receive()
    if found is None:
        _stop()
    return found


def repeat_calls(transformer: Any, device: Any) -> None:
    """In a helper: repeat every call of the transformer until the first process is done."""
    import torch

    try:
        with torch.no_grad():
            while (call := _receive()) is not None:
                values, named = call
                transformer(*_moved_to(values, device), **_moved_to(named, device))
    finally:
        _stop()


def _start() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend, timeout=HELPER_TIMEOUT)


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
    return _moved_to(values, "cpu")


def _moved_to(values: Any, device: Any) -> Any:
    """The same nested values with every tensor moved to a device."""
    import torch

    if isinstance(values, torch.Tensor):
        return values.to(device)
    if isinstance(values, dict):
        return {name: _moved_to(value, device) for name, value in values.items()}
    if isinstance(values, tuple | list):
        return type(values)(_moved_to(value, device) for value in values)
    return values
