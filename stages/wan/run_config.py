"""How the diffusion model is run: where it lives and which shortcuts it takes. What it computes is in `WanConfig`."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError

OFFLOADS = ("auto", "none", "group")
STORAGES = ("auto", "full", "fp8")
TILINGS = ("auto", "on", "off")
CACHES = ("none", "first_block", "mag")
PARALLELS = ("none", "ulysses", "ring")
NO_EFFECT = {
    "taylorseer": "diffusers' default patterns match nothing in Wan's blocks, so it would change nothing",
    "teacache": "diffusers has none; first_block decides by the same quantity",
    "text_kv": "it knows another model only, and would change nothing",
    "faster": "it needs guidance in one batch, and Wan-Animate runs without guidance",
    "seacache": "it needs a callback per model that diffusers does not have for 36 input channels",
    "pab": "at this size it keeps 9 GB of attention outputs, and first_block skips more",
}
"""Caches of diffusers that are refused, with the reason."""


@dataclass(frozen=True)
class RunConfig:
    """Memory and speed. `auto` takes the fastest that fits the card, what loses nothing before what does."""

    vram_gb: float | None = None
    """Card memory to stay within, GB; none: what the card has."""
    offload: str = "auto"
    """`group` keeps the blocks in host memory and brings them in one ahead; `none` keeps all on the card."""
    storage: str = "auto"
    """`fp8` stores the blocks' weights in 8 bits and computes in bf16; `full` stores them as they are."""
    vae_tiling: str = "auto"
    """`on` encodes and decodes in tiles of 256 pixels, which meet with a blend; `off` never."""
    attention: str = "native"
    """diffusers' attention backend: native, _native_cudnn, _native_flash, flash, sage, ..."""
    fuse_qkv: bool = False
    """One matrix product for query, key and value. The same numbers."""
    compile: bool = False
    """Compile the repeated block, once for the first and once for the later chunks' length."""
    fp8_compute: bool = False
    """Multiply the blocks' linears in 8 bits, a scale per row; needs compute capability 8.9 (RTX 40, H100)."""
    cache: str = "none"
    """`first_block` or `mag`: reuse what the blocks added a step ago while it changes little."""
    cache_threshold: float = 0.06
    """How much change is still little; more is faster and further from the exact result."""
    mag_ratios: tuple[float, ...] = ()
    """For `mag`: one ratio a step, from a calibration run with this model, scheduler and number of steps."""
    context_parallel: str = "none"
    """`ulysses` or `ring`: split the tokens over all processes that torchrun started."""

    def __post_init__(self) -> None:
        """Raises InputError for values that cannot be run with."""
        if self.cache in NO_EFFECT:
            raise InputError(
                f"cache {self.cache!r} is refused: {NO_EFFECT[self.cache]}; choose none, first_block or mag"
            )
        for name, choices in (
            ("offload", OFFLOADS),
            ("storage", STORAGES),
            ("vae_tiling", TILINGS),
            ("cache", CACHES),
            ("context_parallel", PARALLELS),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected one of: {', '.join(choices)}")
        if self.vram_gb is not None and not self.vram_gb > 0:
            raise InputError(f"vram_gb is {self.vram_gb}, expected GB above 0")
        if not 0 < self.cache_threshold < 1:
            raise InputError(f"cache_threshold is {self.cache_threshold}, expected between 0 and 1")
        if self.cache == "mag" and not self.mag_ratios:
            raise InputError(
                'cache = "mag" needs mag_ratios; measure them with: python -m benchmarks.gpu_generate --calibrate'
            )
        if self.fp8_compute and self.storage == "fp8":
            raise InputError("fp8_compute stores its weights in 8 bits already; leave storage at auto or full")
        if self.fp8_compute and self.offload == "group":
            raise InputError('fp8_compute keeps its weights on the card; it does not go with offload = "group"')
        if self.context_parallel != "none" and (self.offload == "group" or self.cache != "none"):
            raise InputError("context_parallel does not go with offload or a cache; each card holds the whole model")
        if self.context_parallel == "ring" and self.attention == "native":
            raise InputError(
                "ring needs an attention that returns its sums: add attention=_native_flash, or use ulysses"
            )
