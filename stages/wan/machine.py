"""Memory and speed of this machine, and the plan of a clip on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stages.artifacts.text_files import read_json_object
from stages.wan.config import WanConfig
from stages.wan.device_speeds import Device, known_device, measured_device
from stages.wan.plan import Clip, Networks, Plan, choose_plan, encoding_bytes
from stages.wan.run_config import RunConfig, check_face_options, check_pack_options

if TYPE_CHECKING:
    from stages.wan.folder import ModelFolder

HOST_SHARE = 0.9
"""Share of the free host memory that weights may use; the rest is for frames and all else."""


def plan_for_device(
    folder: ModelFolder,
    clip: Clip,
    wan: WanConfig,
    run: RunConfig,
    device: str,
    lora_bytes: int = 0,
    face: bool = False,
) -> Plan:
    """The plan of a clip with this model on this machine; `lora_bytes` are those of its LoRAs, `face`: it has a face.

    Raises InputError where it does not fit, and for options that a quantised single file or a face does not take.
    """
    if folder.pack is not None:
        check_pack_options(run)
    if face:
        check_face_options(run)
    host = HOST_SHARE * free_host_bytes()
    card = free_card_bytes(device) if device.startswith("cuda") else host
    return choose_plan(networks_of(folder, wan, lora_bytes, face), clip, run, card, host, device_speed(device))


def networks_of(folder: ModelFolder, wan: WanConfig, lora_bytes: int = 0, face: bool = False) -> Networks:
    """The folder's transformer and VAE, by their configs. CLIP and UMT5 are no longer in memory when drawing begins."""
    path = folder.path / "vae" / "config.json"
    vae = read_json_object(path, "fetch the model again") if path.is_file() else {}
    return Networks({**DEFAULTS, **folder.config}, vae, wan, pack=folder.pack, lora_bytes=lora_bytes, face=face)


def vae_needs_tiles(folder: ModelFolder, clip: Clip, vae_dtype: str, device: str) -> bool:
    """Whether a chunk cannot be encoded in one piece in the card's free memory. Never on the CPU."""
    if not device.startswith("cuda"):
        return False
    return encoding_bytes(networks_of(folder, WanConfig(vae_dtype=vae_dtype)), clip) > free_card_bytes(device)


DEFAULTS = {
    "patch_size": (1, 2, 2), "num_attention_heads": 40, "attention_head_dim": 128, "in_channels": 36,
    "out_channels": 16, "text_dim": 4096, "freq_dim": 256, "ffn_dim": 13824, "num_layers": 40, "image_dim": 1280,
    "added_kv_proj_dim": 5120,
}  # fmt: skip
"""Configuration of Wan's transformer, for keys that a config.json leaves out."""


def free_card_bytes(device: str) -> float:
    """Free memory of the card by torch, in bytes."""
    import torch

    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return float(free)


def free_host_bytes(container: Path = Path("/sys/fs/cgroup")) -> float:
    """Host memory that is free or only caches files, in bytes; in a container, no more than its limit leaves.

    `container` is the folder of the process's control group (version 2).
    """
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return min(float(line.split()[1]) * 1024, _left_in_container(container))
    except OSError:
        pass
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _left_in_container(folder: Path) -> float:
    """Bytes below the memory limit of a control group, infinite without one. Cached files can be dropped."""
    try:
        limit, used = (float((folder / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
        return max(0.0, limit - used + float(statistics["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no control group, or "max": no limit
        return float("inf")


def device_speed(device: str) -> Device:
    """The card's row in the table of devices, or a measurement where it has none."""
    import torch

    if device.startswith("cuda"):
        return known_device(torch.cuda.get_device_name(device)) or measured_device(device)
    return measured_device("cpu", size=512)
