"""What this machine offers the model, and the plan of a clip on it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from stages.wan.config import WanConfig
from stages.wan.device_speeds import Device, known_device, measured_device
from stages.wan.plan import Clip, Networks, Plan, choose
from stages.wan.run_config import RunConfig

if TYPE_CHECKING:
    from stages.wan.folder import ModelFolder

HOST_SHARE = 0.9
"""Of the memory that is free; the rest is for frames and everything else."""


def planned(folder: ModelFolder, clip: Clip, wan: WanConfig, run: RunConfig, device: str) -> Plan:
    """The plan of a clip with this model here. Raises InputError where it does not fit."""
    host = HOST_SHARE * free_host_bytes()
    card = free_card_bytes(device) if device.startswith("cuda") else host
    return choose(networks(folder, wan), clip, run, card, host, rate_of(device))


def networks(folder: ModelFolder, wan: WanConfig) -> Networks:
    """The folder's networks by their configs. CLIP and UMT5 are gone when drawing begins."""
    path = folder.path / "vae" / "config.json"
    vae = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return Networks({**DEFAULTS, **folder.config}, vae, wan)


DEFAULTS = {
    "patch_size": (1, 2, 2), "num_attention_heads": 40, "attention_head_dim": 128, "in_channels": 36,
    "out_channels": 16, "text_dim": 4096, "freq_dim": 256, "ffn_dim": 13824, "num_layers": 40, "image_dim": 1280,
    "added_kv_proj_dim": 5120,
}  # fmt: skip
"""Of Wan's transformer, for a config.json that leaves some out."""


def free_card_bytes(device: str) -> float:
    """What torch says is free on the card."""
    import torch

    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return float(free)


def free_host_bytes() -> float:
    """Memory that is free or only caches files."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return float(line.split()[1]) * 1024
    except OSError:
        pass
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def rate_of(device: str) -> Device:
    """The card's row, or a measurement of what is here."""
    import torch

    if device.startswith("cuda"):
        return known_device(torch.cuda.get_device_name(device)) or measured_device(device)
    return measured_device("cpu", size=512)
