"""Which detectors there are. All follow the person with MediaPipe; another one puts its own 2-D points in the place.

A detector is a function `(path, DetectConfig, Progress) -> Observations`, imported when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError

if TYPE_CHECKING:
    from stages.detect.config import DetectConfig
    from stages.detect.observations import Observations
    from stages.progress import Progress


@dataclass(frozen=True)
class NetworkFile:
    """One file of the user's that a detector runs: its name in `emosh models` and its place under emosh's home."""

    name: str
    place: str
    required: bool = True

    def where(self) -> Path:
        """Its path, whether or not it is there."""
        from stages.body.store import home

        return home() / self.place


@dataclass(frozen=True)
class Detector:
    """A function, written module:attribute, and the files it needs."""

    function: str
    files: tuple[NetworkFile, ...] = ()


POSE_FILE = NetworkFile("dwpose", "detectors/dw-ll_ucoco_384.onnx")
BOX_FILE = NetworkFile("dwpose-det", "detectors/yolox_l.onnx", required=False)
DETECTORS = {
    "mediapipe": Detector("stages.detect.holistic:detect"),
    "dwpose": Detector("stages.detect.dwpose:detect", (POSE_FILE, BOX_FILE)),
}
NETWORK_FILES = {file.name: file for each in DETECTORS.values() for file in each.files}


def check_detector(name: str) -> None:
    """Raise InputError for a name that is none."""
    if name not in DETECTORS:
        raise InputError(f"detector is '{name}'; choose: {', '.join(DETECTORS)}")


def check_files(name: str) -> None:
    """Raise InputError where a file that the detector cannot do without is not in its place."""
    for file in DETECTORS[name].files:
        if file.required and not file.where().is_file():
            raise InputError(
                f"the detector {name} runs a file of yours, which is not at {file.where()}: "
                f"emosh models add {file.name} FILE (where to get it: emosh models list)"
            )


def detector(name: str) -> Callable[[Path, DetectConfig, Progress], Observations]:
    """The function of that name."""
    module, attribute = DETECTORS[name].function.split(":")
    return getattr(importlib.import_module(module), attribute)


def weights_of(name: str) -> dict[str, str]:
    """sha256 of the files that the detector will run, by their names in `emosh models`."""
    from stages.artifacts.provenance import sha256_file

    return {file.name: sha256_file(file.where()) for file in DETECTORS[name].files if file.where().is_file()}
