"""Open the user's ONNX files with onnxruntime, and check that a file is the expected network.

A file is checked by one run on a blank picture: the outputs must have the published shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.errors import InputError
from stages.networks.opened import onnx_damage_named, open_session, runtime

JOINTS, BINS_PER_PIXEL = 133, 2
"""Points of COCO-WholeBody, bins of SimCC (mmpose, rtmpose-l_8xb32-270e_coco-ubody-wholebody-384x288)."""
BOX_SIDE, BOX_ROWS, BOX_COLUMNS = 640, 8400, 85
"""YOLOX-l: side of its square input; cells at strides 8, 16 and 32; x, y, w, h, objectness and 80 classes."""


@dataclass(frozen=True)
class OnnxNetwork:
    """One opened file. `size` is the width and height of its input; `run` takes and returns float32."""

    path: Path
    session: Any
    size: tuple[int, int]

    def run(self, picture: Float[np.ndarray, "1 3 height width"]) -> list[np.ndarray]:
        """All outputs, in the order of the file."""
        return self.session.run(None, {self.session.get_inputs()[0].name: picture})


def open_network(path: Path) -> OnnxNetwork:
    """Open a file with one picture as input. Raises InputError for any other file."""
    session = open_session(path, runtime().get_available_providers())
    shapes = [each.shape for each in session.get_inputs()]
    if len(shapes) != 1 or len(shapes[0]) != 4 or not all(isinstance(side, int) for side in shapes[0][1:]):
        raise InputError(f"{path} takes {shapes}, expected one picture of a fixed size: (1, 3, height, width)")
    return OnnxNetwork(path, session, (shapes[0][3], shapes[0][2]))


def check_network(name: str, path: Path) -> str:
    """Open `path`, run it once and return its description. Raises InputError when it is not the network `name`."""
    network = open_network(path)
    expected, description = CHECKS[name](network)
    width, height = network.size
    with onnx_damage_named(path, f"cannot be run as {name}"):
        found = [each.shape for each in network.run(np.zeros((1, 3, height, width), np.float32))]
    if found != expected:
        raise InputError(
            f"{path} is not {description}: it gives {_shapes(found)} for a picture of {width}x{height}, "
            f"expected {_shapes(expected)}"
        )
    return f"{description}, {width}x{height}"


def _pose_shapes(network: OnnxNetwork) -> tuple[list[tuple[int, ...]], str]:
    width, height = network.size
    return [(1, JOINTS, BINS_PER_PIXEL * width), (1, JOINTS, BINS_PER_PIXEL * height)], "DWPose's pose network"


def _box_shapes(network: OnnxNetwork) -> tuple[list[tuple[int, ...]], str]:
    if network.size != (BOX_SIDE, BOX_SIDE):
        raise InputError(
            f"{network.path} takes {network.size[0]}x{network.size[1]}, expected YOLOX's {BOX_SIDE}x{BOX_SIDE}"
        )
    return [(1, BOX_ROWS, BOX_COLUMNS)], "YOLOX's person detector"


CHECKS: dict[str, Callable[[OnnxNetwork], tuple[list[tuple[int, ...]], str]]] = {
    "dwpose": _pose_shapes,
    "dwpose-det": _box_shapes,
}


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in shapes)
