"""Settings of how the diffusion model runs: memory and speed. What it computes is set by `WanConfig`."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError

OFFLOADS = ("auto", "none", "group")
STORAGES = ("auto", "full", "fp8")
TILINGS = ("auto", "on", "off")
CACHES = ("none", "first_block", "mag")
PARALLELS = ("none", "ulysses", "ring")
NO_EFFECT = {
    "taylorseer": "diffusers' default patterns match nothing in Wan's blocks, so it has no effect",
    "teacache": "diffusers does not have it; first_block decides by the same quantity",
    "text_kv": "diffusers has it for another model only, so it has no effect",
    "faster": "it needs guidance in one batch, and Wan-Animate runs without guidance",
    "seacache": "it needs a callback that diffusers does not have for models with 36 input channels",
    "pab": "it keeps 9 GB of attention outputs for this model, and first_block skips more work",
}
"""Step caches that are refused, each with the reason."""


@dataclass(frozen=True)
class RunConfig:
    """Memory and speed. `auto` takes the fastest choice that fits the card, and prefers lossless choices to lossy
    ones."""

    vram_gb: float | None = None
    """Limit for card memory, in GB. none: all memory of the card that is free."""
    offload: str = "auto"
    """Where the transformer's blocks are: `group` keeps them in host memory and copies each to the card just before it
    is used; `none` keeps all on the card; `auto` takes the fastest that fits."""
    storage: str = "auto"
    """How the blocks' weights are stored: `full` in wan.dtype; `fp8` in 8 bits, which halves the memory and loses a
    little precision (products are still computed in wan.dtype); `auto` takes the fastest that fits."""
    vae_tiling: str = "auto"
    """Whether the VAE works in blended tiles of 256 pixels, which needs less memory: `on`, `off`, or `auto` where
    memory is short."""
    attention: str = "native"
    """diffusers' attention backend, by its name in diffusers: native, _native_cudnn, _native_flash, flash, sage, ..."""
    fuse_qkv: bool = False
    """Compute query, key and value in one matrix product. The result is the same."""
    compile: bool = False
    """Compile the transformer's blocks with torch.compile: once for the length of chunk 1, once for later chunks."""
    fp8_compute: bool = False
    """Multiply in 8 bits in the blocks' linear layers, with one scale per row. Lossy; on a GPU it needs compute
    capability 8.9 (RTX 40, H100)."""
    cache: str = "none"
    """Step cache: skip the blocks in steps where their output would change little. `none`, `first_block` or `mag`."""
    cache_threshold: float = 0.06
    """Largest change at which the step cache skips the blocks. Higher is faster and less exact."""
    mag_ratios: tuple[float, ...] = ()
    """Only for cache `mag`: one ratio per step, measured with this model, scheduler and number of steps by
    `python -m benchmarks.gpu_generate --calibrate`."""
    context_parallel: str = "none"
    """Draw one clip on several GPUs: `ulysses` or `ring` splits the tokens over all processes of torchrun. `none` is
    off."""

    def __post_init__(self) -> None:
        """Raises InputError for values that do not work, alone or together."""
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
            raise InputError("fp8_compute already stores its weights in 8 bits; leave storage at auto or full")
        if self.fp8_compute and self.offload == "group":
            raise InputError(
                'fp8_compute keeps its weights on the card and does not work with offload = "group"; choose one of them'
            )
        if self.context_parallel != "none" and (self.offload == "group" or self.cache != "none"):
            raise InputError(
                'context_parallel does not work with offload = "group" or a cache; use offload = "auto", cache = "none"'
            )
        if self.context_parallel == "ring" and self.attention == "native":
            raise InputError(
                'context_parallel = "ring" needs an attention backend that returns its sums; '
                'set attention = "_native_flash", or use ulysses'
            )


def check_pack_options(run: RunConfig) -> None:
    """Refuse what a quantised single file cannot do: its weights stay as stored, LoRAs stay beside them."""
    for name, taken in (
        ("storage=auto", run.storage == "fp8"),
        ("fp8_compute=false", run.fp8_compute),
        ("fuse_qkv=false", run.fuse_qkv),
        ("compile=false", run.compile),
        ("context_parallel=none", run.context_parallel != "none"),
    ):
        if taken:
            raise InputError(f"a quantised single file keeps its weights as they are stored; set wan_run.{name}")


def check_face_options(run: RunConfig) -> None:
    """Refuse what does not work for a clip with a face: diffusers has no plan for splitting the face's tokens."""
    if run.context_parallel != "none":
        raise InputError("a clip with a face cannot be split over several GPUs; set wan_run.context_parallel=none")
