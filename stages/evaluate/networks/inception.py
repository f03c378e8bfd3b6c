"""Inception v3 of 2015 as FID uses it: features of the last pooling, with torch alone.

The network follows pytorch-fid's `inception.py`: torchvision's names, average pools that do not count the padding, and
a max pool in the last block. A picture is resized to 299 pixels in one of three published ways, which change FID.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, interpolate, max_pool2d, relu

SIDE = 299
BATCH_NORM_EPSILON = 0.001
UNPADDED = ("Conv2d_2a_3x3", "Conv2d_4a_3x3")
"""Convolutions of stride 1 without padding; convolutions of stride 2 never have padding."""
Rgb = UInt8[np.ndarray, "height width 3"]


def features(
    weights: Mapping[str, Tensor], pictures: Float[Tensor, "batch 3 299 299"]
) -> Float[Tensor, "batch features"]:
    """Pooled features of pictures in [-1, 1]. Missing weights raise KeyError."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.conv.weight"]
        same = stride == 1 and name not in UNPADDED
        padding = ((kernel.shape[2] - 1) // 2, (kernel.shape[3] - 1) // 2) if same else (0, 0)
        mean, var, weight, bias = (
            weights[f"{name}.bn.{each}"] for each in ("running_mean", "running_var", "weight", "bias")
        )
        return relu(
            batch_norm(conv2d(x, kernel, None, stride, padding), mean, var, weight, bias, eps=BATCH_NORM_EPSILON)
        )

    def sequence(x: Tensor, block: str, *names: str, last_stride: int = 1) -> Tensor:
        for name in names:
            x = conv(x, f"{block}.{name}", last_stride if name == names[-1] else 1)
        return x

    def forked(x: Tensor, block: str, *names: str) -> Tensor:
        return torch.cat([conv(x, f"{block}.{name}") for name in names], 1)

    def pooled(x: Tensor, block: str, largest: bool = False) -> Tensor:
        around = max_pool2d(x, 3, 1, 1) if largest else avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return conv(around, f"{block}.branch_pool")

    x = conv(conv(conv(pictures, "Conv2d_1a_3x3", 2), "Conv2d_2a_3x3"), "Conv2d_2b_3x3")
    x = conv(conv(max_pool2d(x, 3, 2), "Conv2d_3b_1x1"), "Conv2d_4a_3x3")
    x = max_pool2d(x, 3, 2)
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = torch.cat([
            sequence(x, block, "branch1x1"), sequence(x, block, "branch5x5_1", "branch5x5_2"),
            sequence(x, block, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"), pooled(x, block),
        ], 1)  # fmt: skip
    x = torch.cat([
        sequence(x, "Mixed_6a", "branch3x3", last_stride=2),
        sequence(x, "Mixed_6a", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3", last_stride=2),
        max_pool2d(x, 3, 2),
    ], 1)  # fmt: skip
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = torch.cat([
            sequence(x, block, "branch1x1"), sequence(x, block, "branch7x7_1", "branch7x7_2", "branch7x7_3"),
            sequence(x, block, *(f"branch7x7dbl_{step}" for step in range(1, 6))), pooled(x, block),
        ], 1)  # fmt: skip
    x = torch.cat([
        sequence(x, "Mixed_7a", "branch3x3_1", "branch3x3_2", last_stride=2),
        sequence(x, "Mixed_7a", *(f"branch7x7x3_{step}" for step in range(1, 5)), last_stride=2), max_pool2d(x, 3, 2),
    ], 1)  # fmt: skip
    for block in ("Mixed_7b", "Mixed_7c"):
        x = torch.cat([
            sequence(x, block, "branch1x1"),
            forked(sequence(x, block, "branch3x3_1"), block, "branch3x3_2a", "branch3x3_2b"),
            forked(sequence(x, block, "branch3x3dbl_1", "branch3x3dbl_2"), block, "branch3x3dbl_3a", "branch3x3dbl_3b"),
            pooled(x, block, largest=block == "Mixed_7c"),
        ], 1)  # fmt: skip
    return x.mean((2, 3))


def resize_as_clean_fid(rgb: Rgb) -> Float[Tensor, "3 299 299"]:
    """clean-fid's resize: PIL's antialiased bicubic on float channels, then (x - 128) / 128."""
    from PIL import Image

    floats = [Image.fromarray(np.ascontiguousarray(rgb[..., c], np.float32)) for c in range(3)]
    channels = [np.asarray(each.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for each in floats]
    return (torch.from_numpy(np.stack(channels)) - 128) / 128


def resize_as_pytorch_fid(rgb: Rgb) -> Float[Tensor, "3 299 299"]:
    """pytorch-fid's resize: torch's bilinear without antialiasing on [0, 1], then 2 x - 1."""
    unit = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float() / 255
    return (2 * interpolate(unit, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1)[0]


def resize_as_torch_fidelity(rgb: Rgb) -> Float[Tensor, "3 299 299"]:
    """torch-fidelity's resize: TensorFlow 1's bilinear, which samples pixels at their corners, then (x - 128) / 128."""
    rows, columns = (_corners(side) for side in rgb.shape[:2])
    values = torch.from_numpy(np.ascontiguousarray(rgb)).float()
    down = values[rows[0]] + (values[rows[1]] - values[rows[0]]) * rows[2][:, None, None]
    both = down[:, columns[0]] + (down[:, columns[1]] - down[:, columns[0]]) * columns[2][None, :, None]
    return ((both - 128) / 128).permute(2, 0, 1)


def _corners(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each target pixel its two source pixels, and how far it lies from the first to the second (0 to 1)."""
    at = torch.arange(SIDE, dtype=torch.float32) * (side / SIDE)
    low = at.long()
    return low, (low + 1).clamp(max=side - 1), at - low


RESIZES: dict[str, Callable[[Rgb], Tensor]] = {
    "clean": resize_as_clean_fid,
    "pytorch": resize_as_pytorch_fid,
    "fidelity": resize_as_torch_fidelity,
}
"""Tool -> its way to resize a picture for Inception."""
