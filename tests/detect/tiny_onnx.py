"""Tiny ONNX files with the shapes of DWPose's two networks and known results. Needs the package onnx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = (288, 384)
MEAN, DEVIATION = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
MARKERS = {0: slice(0, 91), 1: slice(91, 112), 2: slice(112, 133)}
"""Colour channel -> points that the tiny pose network places where that channel is brightest."""


def marker_pose(path: Path) -> Path:
    """Input as DWPose's. Body and face are placed at the brightest red, left hand at green, right hand at blue.
    Bins are the brightness of the channel, 0..1, if the input is RGB normalised by ImageNet's mean and deviation."""
    width, height = SIZE
    choose = np.zeros((133, 3), np.float32)
    for channel, points in MARKERS.items():
        choose[points, channel] = 1
    nodes = [
        helper.make_node("Mul", ["input", "deviation"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["colour"]),
    ]
    for axis, name in ((2, "simcc_x"), (3, "simcc_y")):
        nodes += [
            helper.make_node("ReduceMax", ["colour"], [f"{name}_line"], axes=[axis], keepdims=0),
            helper.make_node("MatMul", ["choose", f"{name}_line"], [f"{name}_points"]),
            helper.make_node("Unsqueeze", [f"{name}_points", "last"], [f"{name}_column"]),
            helper.make_node("Tile", [f"{name}_column", "twice"], [f"{name}_pairs"]),
            helper.make_node("Reshape", [f"{name}_pairs", f"{name}_shape"], [name]),
        ]
    constants = {
        "deviation": (DEVIATION / 255).reshape(1, 3, 1, 1).astype(np.float32),
        "mean": (MEAN / 255).reshape(1, 3, 1, 1).astype(np.float32),
        "choose": choose, "last": np.array([3]), "twice": np.array([1, 1, 1, 2]),
        "simcc_x_shape": np.array([1, 133, 2 * width]), "simcc_y_shape": np.array([1, 133, 2 * height]),
    }  # fmt: skip
    outputs = {"simcc_x": (1, 133, 2 * width), "simcc_y": (1, 133, 2 * height)}
    return _written(path, nodes, constants, ("input", (1, 3, height, width)), outputs)


def constant_pose(path: Path, points: np.ndarray) -> Path:
    """Input as DWPose's. The result is always the same (133, 3) points: x and y in px of the input, confidence."""
    width, height = SIZE
    bins = {"simcc_x": np.zeros((1, 133, 2 * width)), "simcc_y": np.zeros((1, 133, 2 * height))}
    for name, column in (("simcc_x", 0), ("simcc_y", 1)):
        bins[name][0, np.arange(133), (2 * points[:, column]).astype(int)] = points[:, 2]
    nodes = [
        helper.make_node("ReduceMin", ["input"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "zero"], ["nothing"]),
    ]
    nodes += [helper.make_node("Add", [f"{name}_bins", "nothing"], [name]) for name in bins]
    constants = {f"{name}_bins": array.astype(np.float32) for name, array in bins.items()} | {"zero": np.float32(0)}
    return _written(path, nodes, constants, ("input", (1, 3, height, width)), {n: a.shape for n, a in bins.items()})


def marker_boxes(path: Path, width: float, height: float) -> Path:
    """Input and output as YOLOX-l's. Every cell of 32 px gives a person's box of `width` x `height` px around its
    centre. The score is the mean of red minus blue in the cell, as a share of 255."""
    rows = np.zeros((1, 400, 85), np.float32)
    rows[..., :2], rows[..., 2:4], rows[..., 5] = 0.5, np.log([width / 32, height / 32]), 1
    red = np.array([-1, 0, 1], np.float32).reshape(1, 3, 1, 1)
    only = np.zeros((1, 1, 85), np.float32)
    only[..., 4] = 1 / 255
    nodes = [
        helper.make_node("Conv", ["images", "red"], ["redness"]),
        helper.make_node("AveragePool", ["redness"], ["cells"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Reshape", ["cells", "column"], ["objectness"]),
        helper.make_node("Mul", ["objectness", "only"], ["sure"]),
        helper.make_node("Add", ["sure", "rows"], ["large"]),
        helper.make_node("Concat", ["small", "large"], ["output"], axis=1),
    ]
    constants = {
        "red": red, "column": np.array([1, 400, 1]), "only": only, "rows": rows,
        "small": np.zeros((1, 8000, 85), np.float32),
    }  # fmt: skip
    return _written(path, nodes, constants, ("images", (1, 3, 640, 640)), {"output": (1, 8400, 85)})


def _written(path: Path, nodes: list, constants: dict, given: tuple, outputs: dict) -> Path:
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info(given[0], TensorProto.FLOAT, given[1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
