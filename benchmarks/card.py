"""The device under a benchmark: a clock that waits for it, its memory, and models made where they will live.

Knows nothing of what is measured. `TINY` is the 14B transformer in miniature, so that every line runs on a CPU too.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import torch

from stages.wan.machine import DEFAULTS

TINY: dict[str, Any] = {
    **DEFAULTS, "num_attention_heads": 2, "attention_head_dim": 16, "text_dim": 32, "freq_dim": 32, "ffn_dim": 64,
    "num_layers": 2, "image_dim": 32, "added_kv_proj_dim": 32,
}  # fmt: skip


class Clock:
    """Seconds since the last lap, after everything queued is done."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._last = device, time.perf_counter()

    def lap(self) -> float:
        """Since the lap before."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed


def made(device: torch.device, dtype: torch.dtype, build: Callable[[], Any]) -> Any:
    """A model of random weights built where it will live, in `dtype`, with what diffusers keeps in float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = build()
    finally:
        torch.set_default_dtype(before)
    kept = set(getattr(model, "_keep_in_fp32_modules", None) or ())
    for name, parameter in model.named_parameters():
        if kept & set(name.split(".")):
            parameter.data = parameter.data.float()
    return model.requires_grad_(False).eval()


def fresh_memory(device: torch.device) -> None:
    """Begin to watch the peak."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def allocated_gb(device: torch.device) -> float:
    """GB at the worst moment, as torch allocated it; 0 on the CPU."""
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0


def taken_gb(device: torch.device) -> float:
    """GB of the card that were taken at the worst moment, with what torch reserves and the driver's own; 0 on the
    CPU."""
    if device.type != "cuda":
        return 0.0
    free, total = torch.cuda.mem_get_info(device)
    driver = total - free - torch.cuda.memory_reserved(device)
    return (driver + torch.cuda.max_memory_reserved(device)) / 1e9


def release(device: torch.device) -> None:
    """Give back what the last arrangement held."""
    gc.collect()
    torch._dynamo.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def device_name(device: torch.device) -> str:
    """As torch reports it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def median(values: list[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]
