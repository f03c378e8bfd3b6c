"""Open the networks, each when it is first used. Nothing is downloaded and nothing happens at import."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from stages.networks.files import WEIGHTS
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

    def _session(self, name: str) -> Any:
        with self._lock:
            if name not in self._sessions:
                session = _open(WEIGHTS / f"{name}.onnx")
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


def _open(path: Path) -> Any:
    """A session of the file that runs in the calling thread, on the processor."""
    module = runtime()
    options = module.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with quiet():
        return module.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def is_too_small(rgb: UInt8[np.ndarray, "height width 3"]) -> bool:
    """True for a picture too small for the networks."""
    return min(rgb.shape[:2]) < SMALLEST_SIDE
