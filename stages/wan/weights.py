"""The parts of the model that generation needs on disk: licence, source, size and place of each.

Sizes marked "counted" are parameters times bytes, not a published figure. A sha256 is given only where a published one
was confirmed; else it is None and shown as unknown. Does not know what is inside a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.errors import InputError

WAN_FOLDER = Path("models") / "wan"
"""Folder of the model in emosh's home. It is a diffusers pipeline folder: `vae`, `image_encoder` and so on have
diffusers' names, and `transformer` is a link to the transformer that is used."""
ANIMATE = "Wan-AI/Wan2.2-Animate-14B-Diffusers"
I2V = "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"
VAE = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
"""Repository from which Wan2.1's VAE is fetched; its size and sha256 are known."""
GB = 1e9


@dataclass(frozen=True)
class Weights:
    """One part. `place` is its path in emosh's home; `folder` is its folder in `repo`, or the path of its file
    there."""

    name: str
    purpose: str
    licence: str
    repo: str
    """Hub repository, or "" where nobody publishes the part."""
    folder: str
    place: Path
    size_bytes: int | None
    size_note: str = ""
    sha256: str | None = None
    """sha256 of the file, or of the only weights file in the folder."""
    revision: str | None = None
    """Commit of the repository that `size_bytes` and `sha256` describe."""
    required: bool = True

    @property
    def is_file(self) -> bool:
        """Whether the part is one safetensors or GGUF file, not a folder."""
        return self.place.suffix in (".safetensors", ".gguf")

    def installed_path(self, home: Path) -> Path:
        """Absolute path of the part."""
        return home / self.place

    def installed(self, home: Path) -> bool:
        """Whether the file, or a folder that is not empty, is in its place."""
        path = self.installed_path(home)
        return path.is_file() if self.is_file else path.is_dir() and any(path.iterdir())


WEIGHTS = (
    Weights(
        "wan-animate",
        "the diffusion transformer that EMOSH starts from: Wan2.2-Animate, which reads the skeleton and the face",
        "Apache-2.0",
        ANIMATE,
        "transformer",
        WAN_FOLDER / "transformer-animate",
        69_099_267_536,
        "counted: 17.27 G parameters in fp32",
    ),
    Weights(
        "wan-i2v",
        "Wan2.1-I2V, from which Wan-Animate was trained; it has no motion embedding (the paper starts from it)",
        "Apache-2.0",
        I2V,
        "transformer",
        WAN_FOLDER / "transformer-i2v",
        65_579_515_136,
        "counted: 16.39 G parameters in fp32",
        required=False,
    ),
    Weights(
        "wan-base",
        "wan-animate or wan-i2v in bf16: half the size and half the memory to load it",
        "Apache-2.0",
        "",
        "",
        WAN_FOLDER / "transformer-bf16",
        34_610_000_000,
        "counted: 17.27 G parameters, norms in fp32",
        required=False,
    ),
    Weights(
        "wan-animate-gguf",
        "wan-animate with its face modules in one GGUF file, for cards of 12 to 24 GB: --model wan-animate-gguf",
        "Apache-2.0",
        "QuantStack/Wan2.2-Animate-14B-GGUF",
        "Wan2.2-Animate-14B-Q3_K_M.gguf",
        WAN_FOLDER / "animate.gguf",
        8_600_000_000,
        "Q3_K_M; the repository has files from 6.5 GB, Q2_K, which models add installs too",
        required=False,
    ),
    Weights(
        "wan-animate-fp8",
        "wan-animate with its face modules in one fp8_scaled file, for cards of 24 GB: --model wan-animate-fp8",
        "Apache-2.0",
        "Kijai/WanVideo_comfy_fp8_scaled",
        "Wan22Animate/Wan2_2-Animate-14B_fp8_scaled_e4m3fn_KJ_v2.safetensors",
        WAN_FOLDER / "animate-fp8.safetensors",
        17_300_000_000,
        "published size",
        required=False,
    ),
    Weights(
        "wan-vae",
        "converts pictures to latents and back",
        "Apache-2.0",
        VAE,
        "vae",
        WAN_FOLDER / "vae",
        507_591_892,
        sha256="d6e524b3fffede1787a74e81b30976dce5400c4439ba64222168e607ed19e793",
        revision="0fad780a534b6463e45facd96134c9f345acfa5b",
    ),
    Weights(
        "wan-clip",
        "embeds the reference photo (CLIP ViT-H/14)",
        "Apache-2.0, as released with Wan",
        ANIMATE,
        "image_encoder",
        WAN_FOLDER / "image_encoder",
        1_260_000_000,
        "counted: 0.63 G parameters in 16 bits",
    ),
    Weights(
        "wan-clip-processor",
        "settings for scaling the photo for CLIP",
        "Apache-2.0, as released with Wan",
        ANIMATE,
        "image_processor",
        WAN_FOLDER / "image_processor",
        None,
        "a few kB",
    ),
    Weights(
        "wan-umt5",
        "embeds the prompt (UMT5); needed once per prompt, because embeddings are cached",
        "Apache-2.0",
        ANIMATE,
        "text_encoder",
        WAN_FOLDER / "text_encoder",
        11_360_000_000,
        "counted: 5.68 G parameters in bf16",
    ),
    Weights(
        "wan-tokenizer",
        "splits the prompt into tokens for UMT5",
        "Apache-2.0",
        ANIMATE,
        "tokenizer",
        WAN_FOLDER / "tokenizer",
        None,
        "a few MB",
    ),
    Weights(
        "wan-distill",
        "a LoRA that needs 4 to 6 steps instead of 20, trained by LightX2V for Wan2.1-I2V",
        "Apache-2.0",
        "Kijai/WanVideo_comfy",
        "Lightx2v/lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors",
        WAN_FOLDER / "distill.safetensors",
        738_005_744,
        sha256="85c4a61c30e0497aa44b91d93a893b624708461a56fe5485183b28fa07e2dfb3",
        revision="8260d429d19fd7a72304cad059160b95d843913f",
        required=False,
    ),
    Weights(
        "wan-relight",
        "a LoRA that lights a person who takes another's place like the driving video, trained with Wan2.2-Animate",
        "Apache-2.0, as far as the repository says",
        "Kijai/WanVideo_comfy",
        "LoRAs/Wan22_relight/WanAnimate_relight_lora_fp16.safetensors",
        WAN_FOLDER / "relight.safetensors",
        1_436_672_440,
        sha256="fc646c74c73f4b251f5fd9bc440ef21b03b27305f499966c68b2b3aa31498561",
        required=False,
    ),
    Weights(
        "emosh-adapter",
        "EMOSH's training: LoRA of rank 32 and the motion embedding; nobody has published one, see: emosh train",
        "yours",
        "",
        "",
        WAN_FOLDER / "adapter.safetensors",
        360_000_000,
        "counted: 179.6 M parameters in bf16",
        required=False,
    ),
)
"""Every part, in the order in which `emosh models list` shows them."""

GROUPS = {"wan": tuple(weights.name for weights in WEIGHTS if weights.required)}
"""Group name -> names of its parts. `wan` is everything that `emosh generate --backend wan` requires."""
TRANSFORMERS = ("wan-base", "wan-animate", "wan-i2v")
"""Names of the parts that can be the transformer, the preferred one first."""
LORAS = ("wan-distill", "wan-relight")
"""Names of the parts that `wan.loras` can name in place of a path."""
PACKS = ("wan-animate-gguf", "wan-animate-fp8")
"""Names of the single files that --model can name in place of the installed transformer."""
TRANSFORMER = WAN_FOLDER / "transformer"
"""Path in emosh's home of the link to the transformer that is used."""


def part(name: str) -> Weights:
    """The part of that name. Raises InputError that lists the names."""
    for weights in WEIGHTS:
        if weights.name == name:
            return weights
    raise InputError(f"no model is called '{name}'; there are: {', '.join(each.name for each in WEIGHTS)}")


def parts(name: str) -> tuple[Weights, ...]:
    """The parts of a group, or the single part of that name."""
    return tuple(part(each) for each in GROUPS.get(name, (name,)))


def model_folder(home: Path) -> Path:
    """The folder that `--backend wan` opens. `missing_parts` lists what it lacks."""
    return home / WAN_FOLDER


def installed_transformer(home: Path) -> Path | None:
    """Path of the preferred installed transformer: the prepared base, else Wan-Animate, else Wan2.1-I2V; None
    without."""
    found = (part(name) for name in TRANSFORMERS)
    return next((weights.installed_path(home) for weights in found if weights.installed(home)), None)


def missing_parts(home: Path) -> list[str]:
    """Names of the parts that `--backend wan` still needs. One of the three transformers is enough."""
    needed = [weights for weights in WEIGHTS if weights.required and weights.name not in TRANSFORMERS]
    absent = [weights.name for weights in needed if not weights.installed(home)]
    return ["wan-animate", *absent] if installed_transformer(home) is None else absent


def size_text(weights: Weights) -> str:
    """The size in words, as `emosh models` shows it."""
    if weights.size_bytes is None:
        return weights.size_note or "unknown"
    size = f"{weights.size_bytes / GB:.1f} GB" if weights.size_bytes >= GB else f"{weights.size_bytes / 1e6:.0f} MB"
    return f"about {size} ({weights.size_note})" if weights.size_note else f"{size} ({weights.size_bytes} bytes)"
