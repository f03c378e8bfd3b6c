"""What a user may change about the diffusion model's sampling. Defaults are Wan-Animate's, as in the paper."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stages.errors import InputError

SCHEDULERS = ("unipc", "dpm++", "euler")
DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True)
class WanConfig:
    """How latents become a video. What is settled when they are encoded (chunk length, overlap, prompt) is not here."""

    num_inference_steps: int = 20
    """Denoising steps of each chunk; 4 to 6 with a step-distillation LoRA."""
    scheduler: str = "unipc"
    """`unipc`, `dpm++` or `euler`, each on the same shifted flow sigmas."""
    flow_shift: float = 5.0
    """Shift of the flow sigmas towards noise; 5 as in Wan-Animate."""
    guidance_scale: float = 1.0
    """Classifier-free guidance against the latents' negative prompt; 1 is off, and half the work."""
    sac: bool = True
    """Spatially-aligned conditioning: chunks after the first see the first chunk's first latent (paper 3.4)."""
    renoise: bool = False
    """Noise the known reference and anchor anew at every step, instead of letting the sampler carry them along."""
    color_anchor: bool = False
    """Take back what each chunk changes of colour and contrast in the frames that it shares with the one before."""
    seed: int = 0
    """Seed of the one generator of a clip; the noise is drawn on the CPU, the same for every device."""
    dtype: str = "bfloat16"
    """Of the transformer; its norms and time embedding stay float32."""
    vae_dtype: str = "float32"
    """Of the VAE; float32 as in Wan's own code."""
    adapter_scale: float = 1.0
    """How much of the adapter's LoRA is applied; its motion embedding always is."""
    loras: tuple[str, ...] = ()
    """Further LoRA files, such as a step-distillation, each PATH or PATH:SCALE."""
    lossless: bool = False
    """Write lossless RGB H.264 instead of yuv420p."""
    watermark: bool = True
    """Put an invisible mark into every frame that says the video is synthetic; `emosh inspect` reads it back."""

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
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed is {self.seed}, expected 0 to 2^63 - 1")
