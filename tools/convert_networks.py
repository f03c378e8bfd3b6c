"""Write MediaPipe's networks as ONNX files, from the TFLite files of the mediapipe 0.10.21 wheel.

    pip download --no-deps mediapipe==0.10.21
    python tools/convert_networks.py mediapipe-0.10.21-*.whl stages/networks/weights

It needs the packages ai-edge-litert (for the schema of TFLite files) and onnx. Weights keep their values and are stored
as float16 where the TFLite file stores them so. Outputs that emosh does not read are left out, with the layers for them
(a third of the pose network's time). Tensors of four axes are turned from rows, columns, channels to channels, rows,
columns. The input is uint8 RGB: 1, rows, columns, 3.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from onnx import TensorProto, helper, numpy_helper

DETECTION = {0: "boxes", 1: "scores"}
NETWORKS: dict[str, tuple[str, float, dict[int, str]]] = {
    "pose_detection": ("pose_detection/pose_detection", -1, DETECTION),
    "pose_landmarks": (
        "pose_landmark/pose_landmark_full", 0, {0: "landmarks", 1: "presence", 3: "heatmap", 4: "world"}
    ),
    "face_detection_near": ("face_detection/face_detection_short_range", -1, DETECTION),
    "face_detection_far": ("face_detection/face_detection_full_range_sparse", -1, DETECTION),
    "face_landmarks": (
        "face_landmark/face_landmark_with_attention", 0,
        {0: "mesh", 1: "lips", 2: "right_eye", 3: "left_eye", 4: "right_iris", 5: "left_iris", 6: "presence"},
    ),
    "palm_detection": ("palm_detection/palm_detection_full", 0, DETECTION),
    "hand_landmarks": ("hand_landmark/hand_landmark_full", 0, {0: "landmarks", 1: "presence", 2: "handedness"}),
    "hand_crop": ("holistic_landmark/hand_recrop", 0, {0: "ends"}),
    "person_matte": ("selfie_segmentation/selfie_segmentation", 0, {0: "matte"}),
}  # fmt: skip
"""Name of the ONNX file -> path in the wheel below mediapipe/modules, what black becomes (white becomes 1), and the
names of the outputs that are kept. MediaPipe names the eyes by the picture's sides; here left is the person's left."""
OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
}
SAME, OPSET = 0, 17
ACTIVATIONS = {0: None, 1: "Relu", 3: "Relu6"}


class Converter:
    """One TFLite graph on its way to ONNX."""

    def __init__(self, data: bytes, black: float, outputs: dict[int, str]) -> None:
        self.black = black
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
        self.model, self.graph = model, model.subgraphs[0]
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}
        self.constants: dict[int, np.ndarray] = {}
        self.names: dict[int, str] = {}
        self.outputs = {int(self.graph.outputs[place]): name for place, name in outputs.items()}
        self.made_by = {int(out): node for node in self.graph.operators for out in node.outputs}

    def convert(self, name: str) -> Any:
        """The ONNX model."""
        source = int(self.graph.inputs[0])
        shape = [int(side) for side in self.graph.tensors[source].shape]
        numbers = self.node("Cast", [self.node("Transpose", ["picture"], perm=[0, 3, 1, 2])], to=TensorProto.FLOAT)
        scaled = self.node("Mul", [numbers, self.weight(np.float32((1 - self.black) / 255))])
        self.names[source] = self.node("Add", [scaled, self.weight(np.float32(self.black))]) if self.black else scaled
        for node in self._needed():
            self._convert(node)
        results = []
        for tensor, title in self.outputs.items():
            kept = [int(side) for side in self.graph.tensors[tensor].shape]
            value = self.names[tensor]
            if len(kept) == 4:
                value = self.node("Transpose", [value], perm=[0, 2, 3, 1])
            self.nodes.append(helper.make_node("Identity", [value], [title]))
            results.append(helper.make_tensor_value_info(title, TensorProto.FLOAT, kept))
        picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, shape)
        graph = helper.make_graph(self.nodes, name, [picture], results, list(self.weights.values()))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(made, full_check=True)
        return made

    def _needed(self) -> list[Any]:
        """The nodes that the kept outputs depend on, in the order of the file."""
        wanted, stack = set(), list(self.outputs)
        while stack:
            node = self.made_by.get(stack.pop())
            if node is not None and id(node) not in wanted:
                wanted.add(id(node))
                stack += [int(each) for each in node.inputs if each >= 0]
        return [node for node in self.graph.operators if id(node) in wanted]

    # ---- values
    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def weight(self, array: np.ndarray) -> str:
        """Add a constant and return its name; float16 constants are cast to float32 when the file is loaded."""
        name = f"w{len(self.weights)}"
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return self.node("Cast", [name], to=TensorProto.FLOAT) if array.dtype == np.float16 else name

    def constant(self, tensor: int) -> np.ndarray | None:
        """The values of a constant tensor, None for one that is computed."""
        if tensor in self.constants:
            return self.constants[tensor]
        about = self.graph.tensors[tensor]
        data = self.model.buffers[about.buffer].data
        if data is None or len(data) == 0:
            return None
        values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), TYPES[about.type])
        if about.sparsity is not None:
            return densified(values, about.sparsity, [int(side) for side in about.shape])
        return values.reshape([int(side) for side in about.shape])

    def known(self, tensor: int) -> np.ndarray:
        """The values of a tensor that must be constant."""
        values = self.constant(tensor)
        assert values is not None, f"tensor {tensor} is computed, expected a constant"
        return values

    def value(self, tensor: int) -> str:
        """The name of a tensor; constants of four axes, or three with channels last, become channels first."""
        if tensor in self.names:
            return self.names[tensor]
        values = self.known(tensor)
        if values.ndim == 4:
            values = values.transpose(0, 3, 1, 2)
        return self.weight(values)

    def rank(self, tensor: int) -> int:
        """Number of axes."""
        return len(self.graph.tensors[tensor].shape)

    # ---- operators
    def _convert(self, node: Any) -> None:
        code = self.model.operatorCodes[node.opcodeIndex]
        kind = OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        inputs, output = [int(each) for each in node.inputs], int(node.outputs[0])
        if kind == "CUSTOM":
            kind, options = code.customCode.decode(), node.customOptions
            options = bytes(bytearray(options)) if options is not None else b""
        else:
            options = node.builtinOptions
        if kind in ("DEQUANTIZE", "DENSIFY"):
            values = self.known(inputs[0])
            self.constants[output] = values
            return
        made = getattr(self, f"_{kind.lower()}")(inputs, output, options)
        activation = ACTIVATIONS[getattr(options, "fusedActivationFunction", 0)]
        if activation == "Relu":
            made = self.node("Relu", [made])
        elif activation == "Relu6":
            made = self.node("Clip", [made, self.weight(np.float32(0)), self.weight(np.float32(6))])
        self.names[output] = made

    def _pads(self, tensor: int, output: int, kernel: tuple[int, int], options: Any) -> list[int]:
        if options.padding != SAME:
            return [0, 0, 0, 0]
        sizes, results = self.graph.tensors[tensor].shape[1:3], self.graph.tensors[output].shape[1:3]
        steps = (options.strideH, options.strideW)
        total = [
            max(0, (int(out) - 1) * step + side - int(size))
            for size, out, step, side in zip(sizes, results, steps, kernel, strict=True)
        ]
        low = [each // 2 for each in total]
        return low + [each - first for each, first in zip(total, low, strict=True)]

    def _conv_2d(self, inputs: list[int], output: int, options: Any, group: int = 1) -> str:
        weights = self.known(inputs[1])
        assert options.dilationHFactor == options.dilationWFactor == 1
        weights = weights.transpose(3, 0, 1, 2) if group > 1 else weights.transpose(0, 3, 1, 2)
        kernel = (int(weights.shape[2]), int(weights.shape[3]))
        arguments = [self.value(inputs[0]), self.weight(weights)]
        if len(inputs) > 2 and inputs[2] >= 0:
            bias = self.known(inputs[2])
            arguments.append(self.weight(bias))
        return self.node(
            "Conv",
            arguments,
            kernel_shape=kernel,
            strides=[options.strideH, options.strideW],
            pads=self._pads(inputs[0], output, kernel, options),
            group=group,
        )

    def _depthwise_conv_2d(self, inputs: list[int], output: int, options: Any) -> str:
        return self._conv_2d(inputs, output, options, group=int(self.graph.tensors[inputs[0]].shape[3]))

    def _pool(self, kind: str, inputs: list[int], output: int, options: Any) -> str:
        kernel = (options.filterHeight, options.filterWidth)
        pads = self._pads(inputs[0], output, kernel, options)
        return self.node(
            kind, [self.value(inputs[0])], kernel_shape=kernel, strides=[options.strideH, options.strideW], pads=pads
        )

    def _max_pool_2d(self, inputs: list[int], output: int, options: Any) -> str:
        return self._pool("MaxPool", inputs, output, options)

    def _average_pool_2d(self, inputs: list[int], output: int, options: Any) -> str:
        return self._pool("AveragePool", inputs, output, options)

    def _pad(self, inputs: list[int], output: int, options: Any) -> str:
        pads = self.known(inputs[1])
        pads = pads[[0, 3, 1, 2]]
        return self.node("Pad", [self.value(inputs[0]), self.weight(pads.T.ravel().astype(np.int64))])

    def _add(self, inputs: list[int], output: int, options: Any) -> str:
        return self.node("Add", [self.value(each) for each in inputs])

    def _mul(self, inputs: list[int], output: int, options: Any) -> str:
        return self.node("Mul", [self.value(each) for each in inputs])

    def _relu(self, inputs: list[int], output: int, options: Any) -> str:
        return self.node("Relu", [self.value(inputs[0])])

    def _prelu(self, inputs: list[int], output: int, options: Any) -> str:
        """a x + (1 - a) max(x, 0), as convolutions of one pixel: onnxruntime's own PRelu takes five times as long."""
        slope, value = self.known(inputs[1]).astype(np.float32).reshape(-1, 1, 1, 1), self.value(inputs[0])
        parts = ((slope, value), (1 - slope, self.node("Relu", [value])))
        scaled = [self.node("Conv", [each, self.weight(share)], group=len(slope)) for share, each in parts]
        return self.node("Add", scaled)

    def _logistic(self, inputs: list[int], output: int, options: Any) -> str:
        return self.node("Sigmoid", [self.value(inputs[0])])

    def _hard_swish(self, inputs: list[int], output: int, options: Any) -> str:
        return self.node("HardSwish", [self.value(inputs[0])])

    def _resize_bilinear(self, inputs: list[int], output: int, options: Any) -> str:
        about = self.graph.tensors[output].shape
        sizes = self.weight(np.array([about[0], about[3], about[1], about[2]], np.int64))
        how = "half_pixel" if options.halfPixelCenters else "align_corners" if options.alignCorners else "asymmetric"
        return self.node(
            "Resize", [self.value(inputs[0]), "", "", sizes], mode="linear", coordinate_transformation_mode=how
        )

    def _depth_to_space(self, inputs: list[int], output: int, options: Any) -> str:
        return self.node("DepthToSpace", [self.value(inputs[0])], blocksize=options.blockSize, mode="DCR")

    def _channels_last(self, tensor: int) -> str:
        value = self.value(tensor)
        return self.node("Transpose", [value], perm=[0, 2, 3, 1]) if self.rank(tensor) == 4 else value

    def _reshape(self, inputs: list[int], output: int, options: Any) -> str:
        shape = self.weight(np.array(self.graph.tensors[output].shape, np.int64))
        made = self.node("Reshape", [self._channels_last(inputs[0]), shape])
        return self.node("Transpose", [made], perm=[0, 3, 1, 2]) if self.rank(output) == 4 else made

    def _concatenation(self, inputs: list[int], output: int, options: Any) -> str:
        axis = options.axis % self.rank(output)
        axis = [0, 2, 3, 1][axis] if self.rank(output) == 4 else axis
        return self.node("Concat", [self.value(each) for each in inputs], axis=axis)

    def _mean(self, inputs: list[int], output: int, options: Any) -> str:
        axes = self.known(inputs[1])
        assert self.rank(inputs[0]) == 4
        return self.node(
            "ReduceMean", [self.value(inputs[0])], axes=sorted([0, 2, 3, 1][axis] for axis in axes),
            keepdims=int(self.rank(output) == 4),
        )  # fmt: skip

    def _fully_connected(self, inputs: list[int], output: int, options: Any) -> str:
        weights, bias = self.known(inputs[1]), self.known(inputs[2])
        flat = self.node(
            "Reshape", [self._channels_last(inputs[0]), self.weight(np.array([1, weights.shape[1]], np.int64))]
        )
        return self.node("Gemm", [flat, self.weight(weights), self.weight(bias)], transB=1)

    def _strided_slice(self, inputs: list[int], output: int, options: Any) -> str:
        assert options.shrinkAxisMask == 0
        begin, end, steps = (self.known(each) for each in inputs[1:4])
        shape = self.graph.tensors[inputs[0]].shape
        first = [0 if options.beginMask >> axis & 1 else int(each) for axis, each in enumerate(begin)]
        last = [int(shape[axis]) if options.endMask >> axis & 1 else int(each) for axis, each in enumerate(end)]
        arguments = [np.array(each, np.int64) for each in (first, last, range(len(first)), steps)]
        made = self.node("Slice", [self._channels_last(inputs[0]), *(self.weight(each) for each in arguments)])
        return self.node("Transpose", [made], perm=[0, 3, 1, 2]) if self.rank(output) == 4 else made

    # ---- MediaPipe's own operators (mediapipe/util/tflite/operations)
    def _convolution2dtransposebias(self, inputs: list[int], output: int, options: bytes) -> str:
        weights, bias = self.known(inputs[1]), self.known(inputs[2])
        padding, width, height = np.frombuffer(options[:12], np.int32)
        assert padding in (1, 2)  # 1: SAME, 2: VALID; for kernels as large as the stride both mean no padding
        assert (height, width) == weights.shape[1:3]
        return self.node(
            "ConvTranspose",
            [self.value(inputs[0]), self.weight(weights.transpose(3, 0, 1, 2)), self.weight(bias)],
            strides=[int(height), int(width)],
        )

    def _landmarks2transformmatrix(self, inputs: list[int], output: int, options: bytes) -> str:
        """(1, N, 3) landmarks -> (1, 4, 4): the map from pixels of a turned crop to pixels of the feature map."""
        about: Any = flexbuffers.Loads(options)
        points = self.node("Slice", [self.value(inputs[0]), *map(self._integers, ([0], [2], [2]))])
        points = self.node("Squeeze", [points, self._integers([0])])
        ends = self.node(
            "Gather", [points, self._integers([about["left_rotation_idx"], about["right_rotation_idx"]])], axis=0
        )
        left, right = (self.node("Gather", [ends, self._integers([place])], axis=0) for place in (0, 1))
        along = self.node("Sub", [right, left])
        length = self.node("ReduceL2", [along], axes=[1], keepdims=1)
        axis = self.node("Div", [along, length])  # cos, sin of the angle of the eye or mouth
        across = self.node("Mul", [self._turned(axis), self.weight(np.array([[-1, 1]], np.float32))])
        basis = self.node("Concat", [axis, across], axis=0)  # rows: the crop's x and y in the picture
        subset = self.node("Gather", [points, self._integers(about["subset_idxs"])], axis=0)
        turned = self.node("MatMul", [subset, self.node("Transpose", [basis], perm=[1, 0])])
        high, low = (self.node(kind, [turned], axes=[0], keepdims=1) for kind in ("ReduceMax", "ReduceMin"))
        size = np.array([[about["output_width"], about["output_height"]]], np.float32)
        scale = np.array([[about["scale_x"], about["scale_y"]]], np.float32)
        sides = self.node("Mul", [self.node("Sub", [high, low]), self.weight(scale / size)])
        middle = self.node("Mul", [self.node("Add", [high, low]), self.weight(np.float32(0.5))])
        start = self.node("Sub", [middle, self.node("Mul", [sides, self.weight(size / 2)])])
        columns = self.node("Mul", [basis, self.node("Transpose", [sides], perm=[1, 0])])
        matrix = self.node("Transpose", [columns], perm=[1, 0])
        shift = self.node("Transpose", [self.node("MatMul", [start, basis])], perm=[1, 0])
        flat = self.node("Concat", [matrix, self.weight(np.zeros((2, 1), np.float32)), shift], axis=1)
        rows = self.node("Concat", [flat, self.weight(np.eye(4, dtype=np.float32)[2:])], axis=0)
        return self.node("Unsqueeze", [rows, self._integers([0])])

    def _turned(self, pair: str) -> str:
        return self.node("Gather", [pair, self._integers([1, 0])], axis=1)

    def _integers(self, values: list[int]) -> str:
        return self.weight(np.array(values, np.int64))

    def _transformtensorbilinear(self, inputs: list[int], output: int, options: bytes) -> str:
        """Sample a feature map at the pixels of a turned crop; 0 outside the centres of its border pixels."""
        about: Any = flexbuffers.Loads(options)
        width, height = about["output_width"], about["output_height"]
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        cells = np.stack([x.ravel(), y.ravel(), 0 * x.ravel(), 1 + 0 * x.ravel()], 1).astype(np.float32)
        matrix = self.node("Squeeze", [self.value(inputs[1]), self._integers([0])])
        rows = self.node("Slice", [matrix, *map(self._integers, ([0], [2], [0]))])
        places = self.node("MatMul", [self.weight(cells), self.node("Transpose", [rows], perm=[1, 0])])
        about_input = self.graph.tensors[inputs[0]].shape
        sides = np.array([[about_input[2], about_input[1]]], np.float32)
        grid = self.node("Sub", [self.node("Mul", [places, self.weight(2 / sides)]), self.weight(np.float32(1))])
        grid = self.node("Reshape", [grid, self._integers([1, height, width, 2])])
        return self.node(
            "GridSample", [self.value(inputs[0]), grid], mode="bilinear", padding_mode="zeros", align_corners=0
        )

    def _transformlandmarks(self, inputs: list[int], output: int, options: bytes) -> str:
        """(1, N, 2) landmarks of the crop -> pixels of the feature map."""
        matrix = self.node("Squeeze", [self.value(inputs[1]), self._integers([0])])
        rows = self.node("Slice", [matrix, *map(self._integers, ([0], [2], [0]))])
        turn = self.node("Slice", [rows, *map(self._integers, ([0], [2], [1]))])
        shift = self.node("Slice", [rows, *map(self._integers, ([3], [4], [1]))])
        turned = self.node("MatMul", [self.value(inputs[0]), self.node("Transpose", [turn], perm=[1, 0])])
        return self.node("Add", [turned, self.node("Transpose", [shift], perm=[1, 0])])


def densified(values: np.ndarray, sparsity: Any, shape: list[int]) -> np.ndarray:
    """The dense array of TFLite's sparse format: dimensions in order of traversal, each dense or compressed rows."""
    order, blocks = [int(each) for each in sparsity.traversalOrder], sparsity.blockMap
    blocks = [] if blocks is None else [int(each) for each in blocks]
    levels = sparsity.dimMetadata
    sides = [level.denseSize for level in levels]
    dense = np.zeros(shape, values.dtype)
    block_sides = [int(sides[len(shape) + place]) for place in range(len(blocks))]
    at = [0] * len(order)
    read = 0

    def visit(level: int, place: int) -> None:
        nonlocal read
        if level == len(order):
            spot = [0] * len(shape)
            for depth, axis in enumerate(order):
                if axis < len(shape):
                    spot[axis] += at[depth] * (block_sides[blocks.index(axis)] if axis in blocks else 1)
                else:
                    spot[blocks[axis - len(shape)]] += at[depth]
            dense[tuple(spot)] = values[read]
            read += 1
            return
        about = levels[level]
        if about.format == schema.DimensionType.DENSE:
            for at[level] in range(about.denseSize):
                visit(level + 1, place * about.denseSize + at[level])
        else:
            segments, indices = about.arraySegments.values, about.arrayIndices.values
            for child in range(int(segments[place]), int(segments[place + 1])):
                at[level] = int(indices[child])
                visit(level + 1, child)

    visit(0, 0)
    assert read == len(values)
    return dense


def main() -> None:
    """Convert every network of NETWORKS."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(options.wheel) as wheel:
        for name, (path, black, outputs) in NETWORKS.items():
            model = Converter(wheel.read(f"mediapipe/modules/{path}.tflite"), black, outputs).convert(name)
            file = options.folder / f"{name}.onnx"
            file.write_bytes(model.SerializeToString())
            print(f"{file}: {len(model.graph.node)} nodes, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
