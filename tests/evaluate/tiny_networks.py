"""Networks in miniature, in the published forms, whose answers can be worked out by hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

ALEX = {0: (3, 4, 11), 3: (4, 5, 5), 6: (5, 6, 3), 8: (6, 5, 3), 10: (5, 4, 3)}
VGG = dict(
    zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), [(3, 2, 3), *[(2, 2, 3)] * 12], strict=True)
)  # fmt: skip


def backbone(net: str, prefix: str = "features.{}") -> dict[str, Tensor]:
    """Random weights by torchvision's names."""
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for number, (inside, outside, kernel) in {"alex": ALEX, "vgg": VGG}[net].items():
        name = prefix.format(number)
        weights[f"{name}.weight"] = torch.randn(outside, inside, kernel, kernel, generator=generator) / 4
        weights[f"{name}.bias"] = torch.randn(outside, generator=generator) / 10
    return weights


def lins(net: str) -> dict[str, Tensor]:
    """Heads for `backbone`, by lpips' names; all weights differ."""
    channels = {"alex": (4, 5, 6, 5, 4), "vgg": (2, 2, 2, 2, 2)}[net]
    return {f"lin{k}.model.1.weight": torch.rand(1, c, 1, 1) + k for k, c in enumerate(channels)}


class TinyVgg16(nn.Module):
    """The interface of NVIDIA's vgg16.pt: features whose squared distance is the mean squared difference / 255^2."""

    def forward(self, x: Tensor, resize_images: bool = False, return_lpips: bool = False) -> Tensor:
        assert return_lpips
        assert not resize_images
        return x.flatten(1) / 255.0 / (x[0].numel() ** 0.5)


class Means(nn.Module):
    """The three channel means, and the mean of their squares."""

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3))
        return torch.cat([means, x.square().mean((1, 2, 3))[:, None]], 1)


class TinyInception(nn.Module):
    """The interface of inception-2015-12-05.pt: `layers` of a normalised picture."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Means()

    def forward(self, x: Tensor, return_features: bool = False) -> Tensor:
        assert return_features
        return self.layers((x - 128) / 128)


class TinyI3d(nn.Module):
    """The interface of i3d_torchscript.pt: channel means of the video, and of its change over time."""

    def forward(self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False) -> Tensor:
        assert return_features
        assert not rescale
        assert not resize
        return torch.cat([x.mean((2, 3, 4)), (x[:, :, 1:] - x[:, :, :-1]).abs().mean((2, 3, 4))], 1)


class TinyArcface(nn.Module):
    """A face's embedding: the means of its quarters' channels, less grey."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def scripted(module: nn.Module, path: Path) -> Path:
    """As a TorchScript file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path
