"""Where Wan-Animate's weights live on cards of several sizes, what it takes, and how long a clip takes: all computed.

    python -m benchmarks.plan_by_card [--write]

The plan that `--vram` makes for a clip of 300 frames with a face, 20 steps, on a machine with 64 GB of free memory, for
the bf16 base and for quantised single files. Nothing is loaded and nothing measured here: the shapes are the real
model's, single files are described by their type alone (a published file keeps some weights in larger types). What the
plan cannot count was measured on an H200 (benchmarks.gpu_generate).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import Column, Recorder, arguments
from stages.errors import InputError
from stages.wan.config import WanConfig
from stages.wan.device_speeds import known_device
from stages.wan.machine import DEFAULTS, HOST_SHARE
from stages.wan.pack_headers import Packed
from stages.wan.packs import Pack, meta_model
from stages.wan.placement import Placement
from stages.wan.plan import GB, Clip, Networks, choose_plan, duration_text, make_plan
from stages.wan.run_config import RunConfig

CARDS = {12: "", 16: "", 24: "RTX 4090", 32: "RTX 5090", 48: "L40S", 80: "H100"}
"""GB, and the card whose speed is known, if any."""
MODELS = {"bf16 base": "", "fp8_scaled file": "F8_E4M3", "GGUF Q4_K": "Q4_K", "GGUF Q3_K": "Q3_K"}
SIZES = ((512, 512), (1280, 720))
FRAMES, HOST_GB = 300, 64
COLUMNS = (
    Column("card", "card"), Column("model", "model"), Column("host_gb", "host memory", "GB", 0),
    *(
        column
        for width, height in SIZES
        for column in (
            Column(f"place_{height}", f"weights, {width}x{height}"), Column(f"peak_{height}", "peak memory", "GB"),
            Column(f"time_{height}", f"{FRAMES} frames"),
        )
    ),
)  # fmt: skip


def main() -> None:
    """Print and record a row per card and model, draw the memory."""
    keep = arguments(__doc__).parse_args()
    what = "Where Wan-Animate's weights live on cards of several sizes, what it takes and how long: all computed."
    with Recorder(what, *COLUMNS, keep=keep) as found:
        for gigabytes, name in CARDS.items():
            for model, kind in MODELS.items():
                cells = {"card": f"{gigabytes} GB{f', {name}' if name else ''}", "model": model}
                plans = [planned(gigabytes, name, kind, *size) for size in SIZES]
                host = max(plan.pop("host_gb", 0.0) for plan in plans)
                found.row(**cells, **plans[0], **plans[1], host_gb=host or None)
        draw(found.picture("plan_by_card.png", "Memory that Wan-Animate needs on the card, computed, not measured."))
        found.note("Computed from the model's shapes, with what an H200 took beside them; none of these cards was "
                   f"measured. 20 steps, compiled blocks, {HOST_GB} GB of free host memory, the VAE in float32; no "
                   "time where the card's rate is not in emosh's table.")  # fmt: skip
        found.note("Single files: every linear layer of blocks and face adapters in that type. A published Q3_K_M has "
                   "some in larger types: 8.6 GB instead of 7.9. The time to expand them is not counted.")  # fmt: skip


def planned(gigabytes: int, name: str, kind: str, width: int, height: int) -> dict[str, Any]:
    """The cells of one plan; where none fits, the least that is needed."""
    run, host = RunConfig(vram_gb=gigabytes), HOST_SHARE * HOST_GB * GB
    networks, clip = networks_of(kind), Clip(FRAMES, height, width)
    try:
        plan = choose_plan(networks, clip, run, 0, host, known_device(name) if name else None)
    except InputError:
        least = make_plan(networks, clip, Placement(group_offload=True, vae_tiling=True))
        return {f"place_{height}": "does not fit", f"peak_{height}": least.peak.peak_bytes / GB}
    return {
        f"place_{height}": plan.placement.text().removeprefix("transformer ").replace("block by block from", "in"),
        f"peak_{height}": plan.peak.peak_bytes / GB,
        f"time_{height}": None if plan.seconds is None else duration_text(plan.seconds),
        "host_gb": plan.host_bytes / GB,
    }


@cache
def networks_of(kind: str) -> Networks:
    """The networks of a clip with a face: the bf16 base, or a single file of that type."""
    return Networks(DEFAULTS, {}, WanConfig(), pack=single_file(kind) if kind else None, face=True)


def draw(path: Path) -> None:
    """Bars of the peak memory of every model, on the card and in host memory, at both sizes; lines for the cards."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = {"on the card": Placement(), "in host memory": Placement(group_offload=True)}
    labels = [f"{model}, {place}" for model in MODELS for place in places]
    for number, ((width, height), colour) in enumerate(zip(SIZES, ("#2f6f9f", "#a9c9e0"), strict=True)):
        peaks = [
            make_plan(networks_of(kind), Clip(FRAMES, height, width), placement).peak.peak_bytes / GB
            for kind in MODELS.values()
            for placement in places.values()
        ]
        rows = [row + 0.4 * number - 0.2 for row in range(len(labels))]
        axes.barh(rows, peaks, height=0.38, color=colour, label=f"{width}x{height}")
    for gigabytes in CARDS:
        axes.axvline(gigabytes, color="#999999", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks(list(CARDS))
    axes.invert_yaxis()
    axes.set_xlabel("peak memory of the card without tiles, GB; lines: sizes of cards")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def single_file(kind: str) -> Pack:
    """A single file at the real size by its header: the linears of blocks and face adapters in `kind`, else 16 bits."""
    import gguf

    model, tensors = meta_model(DEFAULTS), {}
    per_block, size = (1, 1) if kind == "F8_E4M3" else gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    for name, tensor in model.state_dict().items():
        linear = tensor.ndim == 2 and name.endswith(".weight") and name.startswith(("blocks.", "face_adapter."))
        count, shape = tensor.numel(), tuple(tensor.shape)
        scale = name.replace(".weight", ".scale_weight") if linear and kind == "F8_E4M3" else None
        packed = (kind, count // per_block * size) if linear else ("F16", 2 * count)
        tensors[name] = Packed(name, shape, *packed, scale)
    path = Path("a.safetensors" if kind == "F8_E4M3" else "a.gguf")
    return Pack(path, dict(model.config), tensors, tuple(tensors.values()), lambda packed: torch.empty(0))


if __name__ == "__main__":
    main()
