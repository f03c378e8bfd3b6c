"""How fast a device multiplies, to estimate how long a clip will take. Rates are sustained, dense, bf16, per second.

"measured" means a product of two 8192 x 8192 bf16 matrices of random numbers, timed with torch; "datasheet" is 0.8 of
the vendor's dense figure. The transformer and the VAE reach shares of that rate. They were measured on one H200 with
benchmarks/gpu_generate.py (torch 2.11, random weights of the 14B shapes); on every other card they are assumed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

TERA = 1e12
LINEAR_SHARE, ATTENTION_SHARE = 0.80, 0.71
"""Fitted on the step of `--config exact` (compiled) at 512x512, 832x480 and 1280x720: 1.543, 2.898 and 11.364 s, met
within 0.4 %. The linear layers' share also covers what is computed between the layers."""
CONVOLUTION_SHARE = {"bfloat16": 0.18, "float16": 0.18, "float32": 0.12}
"""Of the VAE, encoding and decoding 77 frames at 512x512: 2.81 s together in float32, 1.88 s in bfloat16. float16 is
assumed."""


@dataclass(frozen=True)
class Device:
    """A kind of card. `match` is a part of the name that torch reports, `matmul` operations per second, `link` bytes
    per second from host to card, `source` where the figures come from."""

    match: str
    matmul: float
    link: float
    source: str

    @property
    def linear(self) -> float:
        """Operations per second of the transformer's linear layers."""
        return self.matmul * LINEAR_SHARE

    @property
    def attention(self) -> float:
        """Operations per second of fused attention."""
        return self.matmul * ATTENTION_SHARE

    def convolution(self, dtype: str) -> float:
        """Operations per second of the VAE's convolutions."""
        return self.matmul * CONVOLUTION_SHARE[dtype]


DEVICES = (
    Device("GB200", 1960 * TERA, 50e9, "datasheet"),
    Device("B200", 1800 * TERA, 50e9, "datasheet"),
    Device("H200", 790 * TERA, 50e9, "measured"),
    Device("H20", 121 * TERA, 50e9, "from Wan's own published timings"),
    Device("H100", 790 * TERA, 50e9, "measured"),
    Device("H800", 790 * TERA, 50e9, "as the H100"),
    Device("A100", 250 * TERA, 22e9, "datasheet"),
    Device("L40S", 290 * TERA, 22e9, "datasheet"),
    Device("RTX PRO 6000", 400 * TERA, 50e9, "datasheet"),
    Device("RTX 5090", 168 * TERA, 50e9, "datasheet"),
    Device("RTX 4090", 132 * TERA, 22e9, "datasheet"),
    Device("RTX 3090", 57 * TERA, 22e9, "datasheet"),
    Device("A6000", 124 * TERA, 22e9, "datasheet"),
)
"""The first row that matches a name is used, so a longer name such as GB200 stands before B200."""


def known_device(name: str) -> Device | None:
    """The row of a card, by the name that torch reports ("NVIDIA H100 80GB HBM3") or a user types ("RTX4090")."""
    words = re.sub(r"(RTX|PRO)(?=[P\d])", r"\1 ", name.replace("-", " ").upper())
    for device in DEVICES:
        if device.match in words:
            rest = words.partition(device.match)[2]
            if not rest[:1].isalnum():
                return device
    return None


def measured_device(device: Any, size: int = 4096, repeats: int = 4) -> Device:
    """A row for a device that is not listed, by timing a matrix product. Takes about 0.1 s on a card."""
    import time

    import torch

    dtype = torch.bfloat16 if torch.device(device).type != "cpu" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    fastest = float("inf")
    for _ in range(repeats):
        _wait(device)
        began = time.perf_counter()
        torch.mm(left, right)
        _wait(device)
        fastest = min(fastest, time.perf_counter() - began)
    return Device("", 2.0 * size**3 / fastest, 12e9, "measured here")


def _wait(device: Any) -> None:
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
