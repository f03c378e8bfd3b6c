"""Open the networks, each when it is first used or all ahead. Nothing is downloaded and nothing happens at import."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.regular_file import require_regular_file
from stages.errors import InputError
from stages.networks.files import FILES, WEIGHTS
from stages.quiet import quiet

SMALLEST_SIDE = 16
"""Least side of a picture for the networks, px."""


class Networks:
    """The networks of a process. All threads may use one object at the same time: a network keeps no state."""

    def __init__(self) -> None:
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()

    def run(self, name: str, picture: UInt8[np.ndarray, "rows columns 3"]) -> dict[str, np.ndarray]:
        """All outputs of the network `weights/NAME.onnx` for a picture of its size, by their names."""
        session, names = self._session(name)
        return dict(zip(names, session.run(names, {"picture": picture[None]}), strict=True))

    def open(self) -> None:
        """Open all networks now. Raises InputError as `open_session`."""
        for file in FILES:
            self._session(file.name)

    def _session(self, name: str) -> Any:
        with self._lock:
            if name not in self._sessions:
                session = open_session(WEIGHTS / f"{name}.onnx", ["CPUExecutionProvider"], threads=1)
                self._sessions[name] = session, [each.name for each in session.get_outputs()]
            return self._sessions[name]


def runtime() -> Any:
    """The module onnxruntime, told to send nothing.

    From 1.29 on it reports usage on every system unless the variable is set before it is loaded (microsoft/onnxruntime,
    pull request 27379). Older builds for Windows record events for the system's own telemetry.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    with quiet():
        import onnxruntime

        onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(path: Path, providers: Sequence[str], threads: int | None = None) -> Any:
    """A session of an ONNX file; `threads` 1 runs it in the calling thread. Raises InputError for a file that is absent
    or that onnxruntime cannot load."""
    require_regular_file(path, "give an ONNX file")
    module = runtime()
    options = module.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    with quiet(), onnx_damage_named(path, "is not an ONNX file that onnxruntime can load"):
        return module.InferenceSession(str(path), options, providers=list(providers))


@contextmanager
def onnx_damage_named(path: Path, what: str) -> Iterator[None]:
    """Turn onnxruntime's exceptions, which share no base class of their own, into an InputError that names the file."""
    state = runtime().capi.onnxruntime_pybind11_state
    known = [each for each in vars(state).values() if isinstance(each, type) and issubclass(each, Exception)]
    try:
        yield
    except (*known, RuntimeError, ValueError, TypeError) as error:
        if "bad_alloc" in str(error) and Path(__file__).parent in path.parents:  # emosh's own file tells no lie
            raise MemoryError from error
        raise InputError(f"{path} {what} ({' '.join(str(error).split())[:120]}); copy it again") from error


def is_too_small(rgb: UInt8[np.ndarray, "height width 3"]) -> bool:
    """True for a picture too small for the networks."""
    return min(rgb.shape[:2]) < SMALLEST_SIDE
