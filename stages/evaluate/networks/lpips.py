"""LPIPS v0.1 (Zhang et al. 2018): weighted squared differences of unit-normalised features, with torch alone.

The layers follow richzhang/PerceptualSimilarity's `lpips.py` and torchvision's AlexNet and VGG-16. The input should be
RGB in [-1, 1]; this is not checked, because DisCo feeds [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
EPSILON = 1e-10
Distance = Callable[[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 3 height width"]], Tensor]


@dataclass(frozen=True)
class Layer:
    """One convolution: its number in torchvision's `features`, and whether LPIPS compares its output."""

    number: int
    stride: int = 1
    padding: int = 1
    pool: tuple[int, int] | None = None
    """Kernel and stride of the max pooling before this layer."""
    compared: bool = True


ALEX = (
    Layer(0, 4, 2), Layer(3, 1, 2, (3, 2)), Layer(6, 1, 1, (3, 2)), Layer(8), Layer(10),
)  # fmt: skip
VGG = (
    Layer(0, compared=False), Layer(2),
    Layer(5, pool=(2, 2), compared=False), Layer(7),
    Layer(10, pool=(2, 2), compared=False), Layer(12, compared=False), Layer(14),
    Layer(17, pool=(2, 2), compared=False), Layer(19, compared=False), Layer(21),
    Layer(24, pool=(2, 2), compared=False), Layer(26, compared=False), Layer(28),
)  # fmt: skip
LAYERS = {"alex": ALEX, "vgg": VGG}


def from_weights(net: str, backbone: Mapping[str, Tensor], lins: Mapping[str, Tensor], device: str) -> Distance:
    """The distance function of a backbone ("alex" or "vgg") and its heads. Missing weights raise KeyError."""
    on = {key: value.float().to(device) for key, value in backbone.items()}
    heads = [lins[f"lin{number}"].float().reshape(1, -1, 1, 1).to(device) for number in range(5)]

    def distance(first: Tensor, second: Tensor) -> Tensor:
        with torch.inference_mode():
            pairs = zip(features(net, on, first.to(device)), features(net, on, second.to(device)), heads, strict=True)
            return sum((((a - b) ** 2) * head).sum(1).mean((1, 2)) for a, b, head in pairs).cpu()  # type: ignore[union-attr]

    return distance


def features(net: str, weights: Mapping[str, Tensor], pictures: Tensor) -> list[Tensor]:
    """The five compared feature maps, each unit-normalised over channels."""
    shift, scale = (torch.tensor(values, device=pictures.device).view(1, 3, 1, 1) for values in (SHIFT, SCALE))
    x, found = (pictures - shift) / scale, []
    for layer in LAYERS[net]:
        if layer.pool is not None:
            x = max_pool2d(x, *layer.pool)
        key = f"features.{layer.number}"
        x = relu(conv2d(x, weights[f"{key}.weight"], weights[f"{key}.bias"], layer.stride, layer.padding))
        if layer.compared:
            found.append(x / (x.square().sum(1, keepdim=True).sqrt() + EPSILON))
    return found


def from_torchscript(module: Any, device: str) -> Distance:
    """The distance function of NVIDIA's vgg16.pt: LPIPS is the squared distance of its features of pictures 0..255."""

    def distance(first: Tensor, second: Tensor) -> Tensor:
        with torch.inference_mode():
            ours, theirs = (
                module((each.to(device) + 1) * 127.5, resize_images=False, return_lpips=True)
                for each in (first, second)
            )
            return (ours - theirs).square().sum(1).cpu()

    return distance


def metric(distance: Distance, value_range: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """LPIPS of two prepared pictures. `value_range`: "-1..1", as LPIPS expects, or "0..1", as DisCo feeds it."""

    def measured(result: np.ndarray, truth: np.ndarray) -> float:
        return float(distance(tensor(result, value_range), tensor(truth, value_range))[0])

    return measured


def tensor(picture: np.ndarray, value_range: str) -> Float[Tensor, "1 3 height width"]:
    """A picture, RGB as uint8 or in [0, 1], as a batch of one in `value_range`."""
    unit = picture.astype(np.float32) / np.float32(255) if picture.dtype == np.uint8 else picture.astype(np.float32)
    batch = torch.from_numpy(np.ascontiguousarray(unit)).permute(2, 0, 1)[None]
    return batch * 2 - 1 if value_range == "-1..1" else batch
