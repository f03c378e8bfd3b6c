"""LPIPS v0.1 (Zhang et al. 2018): weighted squared differences of unit-normalised features, in torch alone.

Layers after richzhang/PerceptualSimilarity's `lpips.py` and torchvision's AlexNet and VGG-16. Input is RGB in [-1, 1];
what a caller feeds instead (DisCo feeds [0, 1]) is the caller's own affair.
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
    """One convolution: its number in torchvision's `features`, and whether its output is compared."""

    number: int
    stride: int = 1
    padding: int = 1
    pool: tuple[int, int] | None = None
    """Kernel and stride of the max pooling before it."""
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
    """Distance of two batches with a backbone ("alex" or "vgg") and its heads. Missing weights raise KeyError."""
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
    """NVIDIA's vgg16.pt: features whose squared distance is LPIPS (vgg), of pictures in 0..255."""

    def distance(first: Tensor, second: Tensor) -> Tensor:
        with torch.inference_mode():
            ours, theirs = (
                module((each.to(device) + 1) * 127.5, resize_images=False, return_lpips=True)
                for each in (first, second)
            )
            return (ours - theirs).square().sum(1).cpu()

    return distance


def metric(distance: Distance, fed: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """A figure of two prepared pictures; `fed` is "-1..1", as LPIPS asks for, or "0..1", as DisCo feeds it."""

    def measured(result: np.ndarray, truth: np.ndarray) -> float:
        return float(distance(tensor(result, fed), tensor(truth, fed))[0])

    return measured


def tensor(picture: np.ndarray, fed: str) -> Float[Tensor, "1 3 height width"]:
    """uint8 or [0, 1] RGB as a batch of one."""
    unit = picture.astype(np.float32) / np.float32(255) if picture.dtype == np.uint8 else picture.astype(np.float32)
    batch = torch.from_numpy(np.ascontiguousarray(unit)).permute(2, 0, 1)[None]
    return batch * 2 - 1 if fed == "-1..1" else batch
