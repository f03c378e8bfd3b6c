"""What generation needs on disk: each part of the model, its licence, source, size and place.

Sizes marked "counted" are parameters times bytes, not a published figure; a sha256 is given only where one was
published and agreed on, else it is None and shown as unknown. Knows nothing of what is inside a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.errors import InputError

ROOM = Path("models") / "wan"
"""Below emosh's home. It is itself a diffusers pipeline folder: `vae`, `image_encoder` and so on lie there under
diffusers' own names, and `transformer` is a link to the one of the transformers that is used."""
ANIMATE = "Wan-AI/Wan2.2-Animate-14B-Diffusers"
I2V = "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"
VAE = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
"""Wan2.1's one VAE, in the repository whose bytes are known."""
GB = 1e9


@dataclass(frozen=True)
class Weights:
    """One part. `place` is relative to emosh's home; `folder` is where it lies in `repo`, or a file's path there."""

    name: str
    purpose: str
    licence: str
    repo: str
    """Hub repository, or "" where there is none."""
    folder: str
    place: Path
    size_bytes: int | None
    size_note: str = ""
    sha256: str | None = None
    """Of the one file, or of the one weights file in the folder."""
    revision: str | None = None
    """The commit whose bytes `size_bytes` and `sha256` are of."""
    required: bool = True

    @property
    def is_file(self) -> bool:
        """Whether the part is one safetensors file, not a folder."""
        return self.place.suffix == ".safetensors"

    def where(self, home: Path) -> Path:
        """The absolute place."""
        return home / self.place

    def installed(self, home: Path) -> bool:
        """Whether a file, or a folder with something in it, is in its place."""
        there = self.where(home)
        return there.is_file() if self.is_file else there.is_dir() and any(there.iterdir())


WEIGHTS = (
    Weights(
        "wan-animate",
        "the diffusion transformer that EMOSH starts from (Wan2.2-Animate; its face modules are not loaded)",
        "Apache-2.0",
        ANIMATE,
        "transformer",
        ROOM / "transformer-animate",
        69_099_267_536,
        "counted: 17.27 G parameters in fp32",
    ),
    Weights(
        "wan-i2v",
        "the same transformer before Wan-Animate, without a motion embedding (the paper's own start)",
        "Apache-2.0",
        I2V,
        "transformer",
        ROOM / "transformer-i2v",
        65_579_515_136,
        "counted: 16.39 G parameters in fp32",
        required=False,
    ),
    Weights(
        "wan-base",
        "either of them in bf16 without the face modules: loads in half the time and half the memory",
        "Apache-2.0",
        "",
        "",
        ROOM / "transformer-bf16",
        32_850_000_000,
        "counted: 16.40 G parameters, norms in fp32",
        required=False,
    ),
    Weights(
        "wan-vae",
        "pictures to latents and back",
        "Apache-2.0",
        VAE,
        "vae",
        ROOM / "vae",
        507_591_892,
        sha256="d6e524b3fffede1787a74e81b30976dce5400c4439ba64222168e607ed19e793",
        revision="0fad780a534b6463e45facd96134c9f345acfa5b",
    ),
    Weights(
        "wan-clip",
        "the reference photo's embedding (CLIP ViT-H/14)",
        "Apache-2.0, as released with Wan",
        ANIMATE,
        "image_encoder",
        ROOM / "image_encoder",
        1_260_000_000,
        "counted: 0.63 G parameters in 16 bits",
    ),
    Weights(
        "wan-clip-processor",
        "how the photo is scaled for CLIP",
        "Apache-2.0, as released with Wan",
        ANIMATE,
        "image_processor",
        ROOM / "image_processor",
        None,
        "a few kB",
    ),
    Weights(
        "wan-umt5",
        "the prompt's embedding; needed once, since the fixed prompt's embedding is kept",
        "Apache-2.0",
        ANIMATE,
        "text_encoder",
        ROOM / "text_encoder",
        11_360_000_000,
        "counted: 5.68 G parameters in bf16",
    ),
    Weights(
        "wan-tokenizer",
        "the prompt's words",
        "Apache-2.0",
        ANIMATE,
        "tokenizer",
        ROOM / "tokenizer",
        None,
        "some MB",
    ),
    Weights(
        "wan-distill",
        "a LoRA that needs 4 to 6 steps instead of 20, trained by LightX2V for Wan2.1-I2V",
        "Apache-2.0",
        "Kijai/WanVideo_comfy",
        "Lightx2v/lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors",
        ROOM / "distill.safetensors",
        738_005_744,
        sha256="85c4a61c30e0497aa44b91d93a893b624708461a56fe5485183b28fa07e2dfb3",
        revision="8260d429d19fd7a72304cad059160b95d843913f",
        required=False,
    ),
    Weights(
        "emosh-adapter",
        "EMOSH's own training: LoRA of rank 32 and the motion embedding; nobody has published one, see: emosh train",
        "yours",
        "",
        "",
        ROOM / "adapter.safetensors",
        360_000_000,
        "counted: 179.6 M parameters in bf16",
        required=False,
    ),
)
"""Every part, in the order in which `emosh models list` shows them."""

GROUPS = {"wan": tuple(weights.name for weights in WEIGHTS if weights.required)}
"""A word for several: all that `emosh generate --backend wan` cannot do without."""
TRANSFORMERS = ("wan-base", "wan-animate", "wan-i2v")
"""Parts that can be the transformer, the preferred one first."""
TRANSFORMER = ROOM / "transformer"
"""The link to it."""


def part(name: str) -> Weights:
    """The part of that name. Raises InputError naming those there are."""
    for weights in WEIGHTS:
        if weights.name == name:
            return weights
    raise InputError(f"no model is called '{name}'; there are: {', '.join(each.name for each in WEIGHTS)}")


def parts(name: str) -> tuple[Weights, ...]:
    """The parts of a group's name, or the one of that name."""
    return tuple(part(each) for each in GROUPS.get(name, (name,)))


def model_folder(home: Path) -> Path:
    """The folder that `--backend wan` opens; see `missing` for what it may lack."""
    return home / ROOM


def transformer(home: Path) -> Path | None:
    """The transformer that is preferred of those installed: the prepared base, else Wan-Animate, else Wan2.1-I2V."""
    found = (part(name) for name in TRANSFORMERS)
    return next((weights.where(home) for weights in found if weights.installed(home)), None)


def missing(home: Path) -> list[str]:
    """Names of the parts that `--backend wan` still needs; any of the three transformers will do."""
    needed = [weights for weights in WEIGHTS if weights.required and weights.name not in TRANSFORMERS]
    absent = [weights.name for weights in needed if not weights.installed(home)]
    return ["wan-animate", *absent] if transformer(home) is None else absent


def size_text(weights: Weights) -> str:
    """The size as `emosh models` shows it."""
    if weights.size_bytes is None:
        return weights.size_note or "unknown"
    size = f"{weights.size_bytes / GB:.1f} GB" if weights.size_bytes >= GB else f"{weights.size_bytes / 1e6:.0f} MB"
    return f"about {size} ({weights.size_note})" if weights.size_note else f"{size} ({weights.size_bytes} bytes)"
