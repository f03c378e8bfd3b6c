"""The detectors. All follow the person with MediaPipe; the others replace its 2-D points with their own.

A detector is a function `(path, DetectConfig, Progress) -> list[Observations]`, imported when it is chosen. The list
has one entry, or with `DetectConfig.everyone` one per person.
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
    """One network file of the user that a detector runs: its name in `emosh models`, its path under emosh's home."""

    name: str
    place: str
    required: bool = True

    def where(self) -> Path:
        """Its full path, whether or not the file exists."""
        from stages.body.store import home

        return home() / self.place


@dataclass(frozen=True)
class Detector:
    """A function, written module:attribute, and the files that it needs."""

    function: str
    files: tuple[NetworkFile, ...] = ()


POSE_FILE = NetworkFile("dwpose", "detectors/dw-ll_ucoco_384.onnx")
BOX_FILE = NetworkFile("dwpose-det", "detectors/yolox_l.onnx", required=False)
DETECTORS = {
    "mediapipe": Detector("stages.detect.holistic:observe"),
    "dwpose": Detector("stages.detect.dwpose:observe", (POSE_FILE, BOX_FILE)),
}


def check_detector(name: str) -> None:
    """Raise InputError for an unknown detector name."""
    if name not in DETECTORS:
        raise InputError(f"detector is '{name}'; choose: {', '.join(DETECTORS)}")


def check_files(name: str) -> None:
    """Raise InputError when a required file of the detector is missing."""
    for file in DETECTORS[name].files:
        if file.required and not file.where().is_file():
            raise InputError(
                f"the detector {name} needs a file of yours, which is not at {file.where()}; add it with: "
                f"emosh models add {file.name} FILE (where to get it: emosh models list)"
            )


def detector(name: str) -> Callable[[Path, DetectConfig, Progress], list[Observations]]:
    """The function of the detector of that name."""
    module, attribute = DETECTORS[name].function.split(":")
    return getattr(importlib.import_module(module), attribute)


def weights_of(name: str) -> dict[str, str]:
    """sha256 of the files that the detector will run, by their names in `emosh models`."""
    from stages.artifacts.provenance import sha256_file

    return {file.name: sha256_file(file.where()) for file in DETECTORS[name].files if file.where().is_file()}
