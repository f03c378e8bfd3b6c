"""The plan of a clip: where the weights are, the peak memory of every step, and the time. Made before anything is
loaded.

Operations and activations are counted (`stages.wan.cost`), weights are the bytes of the parameters, rates are the
device's row in `stages.wan.device_speeds`. Added to these is what cannot be counted: the constants below, which were
set or checked on an H200 (benchmarks/gpu_generate.py). Times on the card are those of `--config exact`, whose blocks
are compiled; with group offload those of blocks that are not.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stages.counted import counted
from stages.errors import InputError
from stages.wan.chunks import plan_chunks
from stages.wan.config import WanConfig
from stages.wan.device_speeds import Device
from stages.wan.layout import Layout, layout
from stages.wan.placement import Placement
from stages.wan.run_config import RunConfig

if TYPE_CHECKING:
    import torch

    from stages.wan.cost import PassCost
    from stages.wan.pack_memory import PackBytes
    from stages.wan.packs import Pack

GB = 1e9
RESERVE_BYTES = 800_000_000
"""Memory of CUDA's context and the libraries' workspaces."""
ROUNDING = 1.08
"""Factor on activations for rounding and fragmentation in torch's allocator. With it a step of `exact` is within 3 % of
what an H200 took at three sizes."""
ENCODING_ROUNDING, DECODING_ROUNDING = 1.85, 1.55
"""The same for the VAE, with the workspaces of its convolutions: at 512x512 an H200 took 8.4 GB and 9.7 GB."""
BLOCKS_ON_CARD, FACE_ADAPTERS_ON_CARD = 4, 1
"""Blocks on the card with group offload, and the adapter between them. Two blocks are needed: the one that computes and
the next one. The allocator keeps about two more: an H200 took 7.9 GB at 512x512, and this is 8.1."""
OFFLOADED_BLOCK_SECONDS = 0.027
"""What a block with group offload takes longer than a compiled one on the card: it waits, and is not compiled. On an
H200 at 512x512 a step took 2.617 s instead of 1.543."""
HOST_ROUNDING = 1.03
"""Most that page-locked memory for offload takes over the weights' own bytes (`stages.wan.pinned`)."""
LOSSY_MARGIN = 1.5
"""8-bit storage is chosen instead of lossless offload only where it is this many times faster."""


@dataclass(frozen=True)
class Clip:
    """Length, size and chunks of the clip to generate."""

    frames: int
    height: int
    width: int
    chunk_frames: int = 77
    overlap_frames: int = 5


@dataclass(frozen=True)
class Part:
    """One network: its bytes, and in words where they are while the clip is drawn."""

    name: str
    bytes: int
    location: str


@dataclass(frozen=True)
class Step:
    """One kind of work: how often it runs, its peak memory, and operations and seconds of one run (None: unknown
    rate)."""

    name: str
    times: int
    peak_bytes: int
    operations: float
    seconds: float | None


@dataclass(frozen=True)
class Plan:
    """Placement, memory and time of a clip."""

    clip: Clip
    placement: Placement
    parts: tuple[Part, ...]
    steps: tuple[Step, ...]
    host_bytes: int
    device: Device | None

    @property
    def peak(self) -> Step:
        """The step that needs the most memory."""
        return max(self.steps, key=lambda step: step.peak_bytes)

    @property
    def seconds(self) -> float | None:
        """Seconds for the whole clip; None where the device's rate is unknown."""
        if any(step.seconds is None for step in self.steps):
            return None
        return sum(step.times * (step.seconds or 0.0) for step in self.steps)

    @property
    def operations(self) -> float:
        """Operations for the whole clip."""
        return sum(step.times * step.operations for step in self.steps)

    def line(self) -> str:
        """The plan in one line, which every run prints."""
        time = "time unknown on this device" if self.seconds is None else f"about {duration_text(self.seconds)}"
        chunks = next(step.times for step in self.steps if step.name.startswith("encoding the overlap")) + 1
        return (
            f"plan: {counted(self.clip.frames, 'frame')} in {counted(chunks, 'chunk')}, {self.placement.text()}, "
            f"at most {self.peak.peak_bytes / GB:.1f} GB ({self.peak.name}), {self.operations / 1e15:.2f} PFLOP, {time}"
        )

    def lines(self) -> list[str]:
        """The whole plan: this line, then one line per network and per step."""
        lines = [self.line()]
        lines += [f"  {part.name}: {part.bytes / GB:.2f} GB, {part.location}" for part in self.parts]
        for step in self.steps:
            time = "" if step.seconds is None else f", {duration_text(step.seconds)}"
            lines.append(
                f"  {step.name}: {step.times} x {step.operations / 1e12:.1f} TFLOP{time}, "
                f"at most {step.peak_bytes / GB:.2f} GB"
            )
        lines.append(f"  host memory for weights: {self.host_bytes / GB:.1f} GB")
        if self.device is not None:
            rate = f"{self.device.matmul / 1e12:.0f} TFLOP/s in bf16 ({self.device.source})"
            lines.append(f"  rates: {rate}; blocks and VAE reach the shares of it that an H200 reached")
            if not self.placement.group_offload:
                lines.append("  time of compiled blocks (--config exact); without wan_run.compile a step takes longer")
        return lines


def duration_text(seconds: float) -> str:
    """A time with its unit: 3.25 s, 40 s, 12 min, 3.0 h."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True)
class Networks:
    """The model by its configs. `encoder_bytes` are those of CLIP and UMT5; 0 where a cached embedding is used."""

    transformer: Mapping[str, Any]
    vae: Mapping[str, Any]
    wan: WanConfig
    encoder_bytes: Mapping[str, int] = field(default_factory=dict)
    pack: Pack | None = None
    """The quantised single file that the transformer is loaded from, as it is stored."""
    lora_bytes: int = 0
    """Bytes of the LoRAs. Only beside a pack: everywhere else they are added to the weights."""
    face: bool = False
    """Whether the clip has a face: then the face modules are loaded and run."""

    @property
    def sac(self) -> bool:
        """Whether later chunks have an anchor slot."""
        return self.wan.uses_sac(self.face)

    @cached_property
    def motion_encoder(self) -> tuple[PassCost, int]:
        """(cost of one face, bytes) of the encoder of faces, which runs once per frame while a clip is encoded."""
        from stages.wan.cost import motion_encoder_cost

        return motion_encoder_cost(self.transformer)

    @cached_property
    def _pack_bytes(self) -> PackBytes:
        import torch

        from stages.wan.pack_memory import pack_bytes

        assert self.pack is not None
        return pack_bytes(self.pack, getattr(torch, self.wan.dtype))

    @property
    def expansion_bytes(self) -> int:
        """The most that expanding one packed layer for its product needs; 0 where none is packed."""
        return 0 if self.pack is None else self._pack_bytes.expansion

    @cached_property
    def _meta(self) -> torch.nn.Module:
        import torch

        from stages.wan.cost import meta_transformer

        return meta_transformer(self.transformer, getattr(torch, self.wan.dtype), self.face)

    @cached_property
    def transformer_bytes(self) -> int:
        """Bytes of the transformer as it is loaded, with norms in float32, face modules if the clip has a face, and
        LoRAs beside a pack."""
        if self.pack is not None:
            return self._pack_bytes.total + self.lora_bytes
        from stages.wan.cost import parameter_bytes

        return parameter_bytes(self._meta)

    @cached_property
    def block_bytes(self) -> int:
        """Bytes of one block."""
        if self.pack is not None:
            return self._pack_bytes.block + self.lora_bytes // self.transformer["num_layers"]
        from stages.wan.cost import parameter_bytes

        return parameter_bytes(self._meta.blocks[0])  # type: ignore[index, arg-type]

    @cached_property
    def face_adapter_bytes(self) -> tuple[int, ...]:
        """Bytes of each face adapter; empty where none is loaded. A pack is always loaded with them."""
        if self.pack is not None:
            return self._pack_bytes.face_adapters
        from stages.wan.cost import parameter_bytes

        return tuple(parameter_bytes(adapter) for adapter in self._meta.face_adapter) if self.face else ()  # type: ignore[union-attr]

    @cached_property
    def fp8_bytes(self) -> int:
        """Bytes of the transformer with the weights that layerwise casting stores in 8 bits."""
        from stages.wan.offload import is_stored_in_fp8

        total = 0
        for name, parameter in self._meta.named_parameters():
            size = 1 if is_stored_in_fp8(name.rpartition(".")[0], self._meta) else parameter.element_size()
            total += parameter.numel() * size
        return total

    @cached_property
    def vae_bytes(self) -> int:
        """Bytes of the VAE as it is loaded."""
        import torch

        from stages.wan.cost import meta_vae, parameter_bytes

        return parameter_bytes(meta_vae(self.vae, getattr(torch, self.wan.vae_dtype)))


def make_plan(networks: Networks, clip: Clip, placement: Placement, device: Device | None = None) -> Plan:
    """Memory, operations and time of one placement."""
    import torch

    from stages.wan.cost import transformer_operations, transformer_peak_bytes, vae_costs

    wan = networks.wan
    chunks = plan_chunks(clip.frames, clip.chunk_frames, clip.overlap_frames)
    vae_dtype = getattr(torch, wan.vae_dtype)
    encoding, decoding = vae_costs(
        networks.vae, clip.chunk_frames, clip.height, clip.width, vae_dtype, placement.vae_tiling
    )
    resident = resident_bytes(networks, placement) + networks.vae_bytes
    frames_bytes = 3 * clip.chunk_frames * clip.height * clip.width * vae_dtype.itemsize
    passes = wan.num_inference_steps * (2 if wan.guidance_scale > 1 else 1)
    steps = [_step(f"{name} encoding", 1, size, 0, 0.0, 0.0) for name, size in networks.encoder_bytes.items() if size]
    convolution = None if device is None else device.convolution(wan.vae_dtype)
    steps.append(
        _step(
            "encoding a chunk of the condition map", len(chunks), networks.vae_bytes + frames_bytes,
            encoding.peak_bytes, encoding.operations, _time(encoding.operations, convolution), ENCODING_ROUNDING,
        )
    )  # fmt: skip
    if networks.face:
        face, weights = networks.motion_encoder
        held = networks.vae_bytes + weights
        seconds = _time(face.operations, None if device is None else device.convolution("float32"))
        steps.append(
            _step("encoding the face of a frame", clip.frames, held, face.peak_bytes, face.operations, seconds)
        )
    kinds = [("step of chunk 1", 1, layout(clip.chunk_frames, clip.overlap_frames, True, networks.sac))]
    if len(chunks) > 1:
        later = layout(clip.chunk_frames, clip.overlap_frames, False, networks.sac)
        kinds.append(("step of a later chunk", len(chunks) - 1, later))
    for name, count, slots in kinds:
        operations = transformer_operations(networks.transformer, slots, clip.height, clip.width, networks.face)
        activations = transformer_peak_bytes(
            networks.transformer, slots, clip.height, clip.width, getattr(torch, wan.dtype), face=networks.face
        )
        seconds = _step_seconds(networks, placement, operations.linear, operations.attention, device)
        held = resident + networks.expansion_bytes + _inputs_bytes(networks.transformer, slots, clip)
        steps.append(
            _step(f"{name} ({slots.slots} slots)", count * passes, held, activations, operations.total, seconds)
        )
    steps.append(
        _step(
            "decoding a chunk", len(chunks), resident, decoding.peak_bytes, decoding.operations,
            _time(decoding.operations, convolution), DECODING_ROUNDING,
        )
    )  # fmt: skip
    steps.append(
        _step(
            "encoding the overlap for the next chunk", len(chunks) - 1, resident + 2 * frames_bytes,
            encoding.peak_bytes, encoding.operations, _time(encoding.operations, convolution), ENCODING_ROUNDING,
        )
    )  # fmt: skip
    host = round(HOST_ROUNDING * _transformer_bytes(networks, placement)) if placement.group_offload else 0
    return Plan(clip, placement, _parts(networks, placement), tuple(steps), host, device)


def encoding_bytes(networks: Networks, clip: Clip) -> int:
    """Peak memory of encoding one chunk in one piece, before the transformer is loaded."""
    import torch

    from stages.wan.cost import vae_costs

    dtype = getattr(torch, networks.wan.vae_dtype)
    encoding, _ = vae_costs(networks.vae, clip.chunk_frames, clip.height, clip.width, dtype)
    frames = 3 * clip.chunk_frames * clip.height * clip.width * dtype.itemsize
    return _step("", 1, networks.vae_bytes + frames, encoding.peak_bytes, 0.0, None, ENCODING_ROUNDING).peak_bytes


def choose_plan(
    networks: Networks,
    clip: Clip,
    run: RunConfig,
    card_bytes: float,
    host_bytes: float,
    device: Device | None = None,
) -> Plan:
    """The fastest plan that fits the memory. A lossless plan is preferred unless a lossy one is 1.5 times faster.

    `card_bytes` and `host_bytes` are free memory. Raises InputError that names the option to change where none fits.
    """
    limit = card_bytes if run.vram_gb is None else run.vram_gb * GB
    allowed = [each for each in _allowed(run) if networks.pack is None or not each.fp8_storage]
    plans = [make_plan(networks, clip, placement, device) for placement in allowed]
    fitting = [plan for plan in plans if plan.peak.peak_bytes <= limit and plan.host_bytes <= host_bytes]
    if not fitting:
        least = min(plans, key=lambda plan: plan.peak.peak_bytes)
        raise InputError(_too_small(least, limit, host_bytes, run, networks.pack is not None))
    return min(fitting, key=_preference)


def _preference(plan: Plan) -> tuple[float, bool]:
    seconds = plan.seconds if plan.seconds is not None else (2.0 if plan.placement.group_offload else 1.0)
    lossy = LOSSY_MARGIN if plan.placement.fp8_storage else 1.0
    return seconds * lossy, plan.placement.vae_tiling


def _allowed(run: RunConfig) -> list[Placement]:
    """Placements that the settings allow."""
    offloads = {"auto": (False, True), "none": (False,), "group": (True,)}[run.offload]
    storages = {"auto": (False, True), "full": (False,), "fp8": (True,)}[run.storage]
    tilings = {"auto": (False, True), "on": (True,), "off": (False,)}[run.vae_tiling]
    if run.fp8_compute or run.context_parallel != "none":
        offloads, storages = (False,), (False,)
    return [Placement(*each) for each in itertools.product(offloads, storages, tilings)]


def _too_small(least: Plan, limit: float, host_bytes: float, run: RunConfig, packed: bool) -> str:
    smaller = "take a smaller file, such as Q2_K," if packed else "set wan_run.storage=fp8"
    if least.host_bytes > host_bytes:
        return (
            f"{least.placement.text()} needs {least.host_bytes / GB:.0f} GB of host memory, "
            f"{host_bytes / GB:.0f} GB are free; {smaller} or use a machine with more memory"
        )
    forced = [name for name in ("offload", "storage", "vae_tiling") if getattr(run, name) != "auto"]
    advice = f"set wan_run.{forced[0]}=auto" if forced else "use a smaller picture (render-cond --size 384x384)"
    return (
        f"{limit / GB:.1f} GB of memory are not enough: {least.placement.text()} needs "
        f"{least.peak.peak_bytes / GB:.1f} GB ({least.peak.name}); {advice}"
    )


# ---- pieces
def _step(
    name: str, times: int, held: int, activations: int, operations: float, seconds: float | None,
    rounding: float = ROUNDING,
) -> Step:  # fmt: skip
    return Step(name, times, RESERVE_BYTES + held + round(activations * rounding), operations, seconds)


def _time(operations: float, rate: float | None) -> float | None:
    return None if rate is None else operations / rate


def _step_seconds(
    networks: Networks, placement: Placement, linear: float, attention: float, device: Device | None
) -> float | None:
    """Seconds of one step. With group offload: computing or copying the weights, whichever takes longer, and what
    offload adds."""
    if device is None:
        return None
    computing = linear / device.linear + attention / device.attention
    if not placement.group_offload:
        return computing
    copying = _transformer_bytes(networks, placement) / device.link
    return max(computing, copying) + networks.transformer["num_layers"] * OFFLOADED_BLOCK_SECONDS


def _transformer_bytes(networks: Networks, placement: Placement) -> int:
    return networks.fp8_bytes if placement.fp8_storage else networks.transformer_bytes


def resident_bytes(networks: Networks, placement: Placement) -> int:
    """Bytes of the transformer's weights on the card while a chunk is denoised."""
    whole = _transformer_bytes(networks, placement)
    if placement.group_offload:
        share = whole / networks.transformer_bytes
        away = networks.block_bytes * max(0, networks.transformer["num_layers"] - BLOCKS_ON_CARD)
        away += sum(networks.face_adapter_bytes[FACE_ADAPTERS_ON_CARD:])
        whole -= round(share * away)
    elif placement.fp8_storage:
        whole += networks.block_bytes  # the block that computes, converted back
    return whole


def _inputs_bytes(config: Mapping[str, Any], slots: Layout, clip: Clip) -> int:
    """Bytes of noise, condition, the sampler's three past flows and motion, in float32. Embeddings (a few MB) are left
    out."""
    latents = slots.slots * (clip.height // 8) * (clip.width // 8) * 4
    return latents * (config["in_channels"] + 16 * 5)


def _parts(networks: Networks, placement: Placement) -> tuple[Part, ...]:
    location = placement.text().removeprefix("transformer ").removesuffix(", VAE in tiles")
    encoders = tuple(
        Part(name, size, "on the card while encoding, then released" if size else "not loaded: its embedding is cached")
        for name, size in networks.encoder_bytes.items()
    )
    if networks.face:
        encoders += (Part("encoder of faces", networks.motion_encoder[1], "on the card while encoding, then released"),)
    return (
        Part("transformer", _transformer_bytes(networks, placement), location),
        Part("VAE", networks.vae_bytes, f"on the card in {networks.wan.vae_dtype}"),
        *encoders,
    )
