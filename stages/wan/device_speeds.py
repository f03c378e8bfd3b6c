"""How fast a device multiplies, for saying beforehand how long a clip will take. Rates are sustained, dense, bf16.

"measured" means a product of two 8192 x 8192 bf16 matrices of random numbers, timed with torch; "datasheet" is 0.8 of
the vendor's dense figure. Attention is taken at three quarters of it (FlashAttention 2 and cuDNN on Hopper), the VAE's
small convolutions at far less: both are estimates, which benchmarks/gpu_generate.py replaces by measurements.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

TERA = 1e12
ATTENTION_SHARE = 0.75
CONVOLUTION_SHARE = {"bfloat16": 0.16, "float16": 0.16, "float32": 0.06}


@dataclass(frozen=True)
class Device:
    """A kind of card. `match` is a part of the name that torch reports; `link` is host to card, bytes a second."""

    match: str
    matmul: float
    link: float
    how: str

    @property
    def attention(self) -> float:
        """Operations a second of fused attention."""
        return self.matmul * ATTENTION_SHARE

    def convolution(self, dtype: str) -> float:
        """Operations a second of the VAE."""
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
"""Looked through in order: an H200 is found before what its name contains."""


def known_device(name: str) -> Device | None:
    """The row of a card by the name that torch reports, such as "NVIDIA H100 80GB HBM3", or one types: RTX4090."""
    words = re.sub(r"(RTX|PRO)(?=[P\d])", r"\1 ", name.replace("-", " ").upper())
    for device in DEVICES:
        if device.match in words:
            rest = words.partition(device.match)[2]
            if not rest[:1].isalnum():
                return device
    return None


def measured_device(device: Any, size: int = 4096, repeats: int = 4) -> Device:
    """A row for the card at hand, by timing a matrix product; a tenth of a second on a card that is not listed."""
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
