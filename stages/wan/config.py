"""Settings of the diffusion model's sampler. Defaults are Wan-Animate's; the paper names no sampler, steps or shift."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stages.errors import InputError

SCHEDULERS = ("unipc", "dpm++", "euler")
ANCHORS = ("first", "frontal")
DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True)
class WanConfig:
    """How latents become a video. Chunk length, overlap and prompt are settings of encoding."""

    num_inference_steps: int = 20
    """Number of denoising steps per chunk. 4 to 6 are enough with a step-distillation LoRA."""
    scheduler: str = "unipc"
    """Sampler: `unipc`, `dpm++` or `euler`. All three use the same noise levels (shifted flow sigmas)."""
    flow_shift: float = 5.0
    """Shift of the noise levels (flow sigmas): above 1, more steps are spent at high noise. 5 as in Wan-Animate."""
    guidance_scale: float = 1.0
    """Strength of classifier-free guidance against the negative prompt. 1 is off and takes half the time."""
    sac: bool | None = None
    """Whether chunks after the first see the first chunk's first latent (paper 3.4). none: with the mesh, but not with
    Wan-Animate's skeleton, whose weights were never trained with it."""
    anchor_frame: int | str = "first"
    """Which frame of the first chunk later chunks see with SAC (paper 0.D.5): `first`, `frontal` (the head turned least
    from the camera), or a frame's number. `first` is kept as its latent; others are decoded and encoded alone."""
    renoise: bool = False
    """At every step, replace the reference and SAC latents by the known ones with noise of that step's level. Off: the
    sampler denoises them like all others."""
    color_anchor: bool = False
    """Keep colour and contrast steady: match each chunk to the frames that it shares with the chunk before."""
    seed: int = 0
    """Seed of the noise: the same seed gives the same noise on every device."""
    dtype: str = "bfloat16"
    """Number type of the transformer: bfloat16, float16 or float32. Its norms and time embedding stay float32."""
    vae_dtype: str = "float32"
    """Number type of the VAE: bfloat16, float16 or float32. float32 as in Wan's own code."""
    adapter_scale: float = 1.0
    """Strength of the adapter's LoRA: 1 is full, 0 is off. Its motion embedding is always applied in full."""
    loras: tuple[str, ...] = ()
    """Further LoRA files, such as a step-distillation LoRA. Each is PATH or PATH:SCALE; wan-distill and wan-relight are
    the installed ones."""
    lossless: bool = False
    """Write lossless RGB H.264 instead of lossy yuv420p H.264, which every player reads."""
    watermark: bool = True
    """Hide a mark in every frame that says the video is synthetic. `emosh inspect` reads the mark."""

    def __post_init__(self) -> None:
        """Raises InputError for values that cannot be sampled with."""
        if self.num_inference_steps < 1:
            raise InputError(f"num_inference_steps is {self.num_inference_steps}, expected at least 1")
        if self.scheduler not in SCHEDULERS:
            raise InputError(f"scheduler is {self.scheduler!r}, expected one of: {', '.join(SCHEDULERS)}")
        if not 0 < self.flow_shift < math.inf:
            raise InputError(f"flow_shift is {self.flow_shift}, expected a positive number")
        if not 1 <= self.guidance_scale < math.inf:
            raise InputError(f"guidance_scale is {self.guidance_scale}, expected 1 (off) or more")
        if not math.isfinite(self.adapter_scale):
            raise InputError(f"adapter_scale is {self.adapter_scale}, expected a number")
        for name in ("dtype", "vae_dtype"):
            if getattr(self, name) not in DTYPES:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected one of: {', '.join(DTYPES)}")
        if self.anchor_frame not in ANCHORS and not (isinstance(self.anchor_frame, int) and self.anchor_frame >= 0):
            raise InputError(f"anchor_frame is {self.anchor_frame!r}, expected first, frontal or a frame's number")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed is {self.seed}, expected 0 to 2^63 - 1")

    def uses_sac(self, face: bool) -> bool:
        """Whether later chunks see chunk 1; `face`: of a clip with a face, so drawn by Wan-Animate's own weights."""
        return not face if self.sac is None else self.sac
