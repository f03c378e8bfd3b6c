"""adapter.safetensors: what training changes (paper 0.B.2), a LoRA on every linear of every block and the motion
embedding, in one file.

Names are peft's as diffusers writes them, `transformer.blocks.0.attn1.to_q.lora_A.weight`, and
`transformer.pose_patch_embedding.weight`. Further LoRA files (step distillation) stack on top by name.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import Provenance
from stages.errors import InputError
from stages.wan.folder import header
from stages.wan.layout import LAYOUT_VERSION
from stages.wan.loading import silenced
from stages.wan.recognise import EMBEDDING
from stages.wan.transformer import EmoshTransformer3DModel

KIND, SCHEMA = "adapter", 1
NAME = "emosh"
"""Name of our adapter among the model's; the others are called `lora_0`, `lora_1`, ..."""
PREFIX = "transformer."
RANK = 32
TARGETS = (
    "attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0",
    "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0", "attn2.add_k_proj", "attn2.add_v_proj",
    "ffn.net.0.proj", "ffn.net.2",
)  # fmt: skip
"""The 12 linears of a block: self-attention, cross-attention (text and image) and feed-forward."""


@dataclass(frozen=True)
class Adapter:
    """What stands in an adapter's header."""

    path: Path
    rank: int
    alpha: float
    blocks: int
    provenance: Provenance | None


def add_adapter(model: EmoshTransformer3DModel, rank: int = RANK, alpha: float | None = None) -> None:
    """Give the model a fresh LoRA to train and let its motion embedding learn; all else stays frozen."""
    from peft import LoraConfig

    pattern = "|".join(re.escape(name) for name in TARGETS)
    model.add_adapter(
        LoraConfig(r=rank, lora_alpha=alpha or rank, target_modules=rf"blocks\.\d+\.(?:{pattern})"),  # type: ignore[arg-type]
        adapter_name=NAME,
    )
    model.pose_patch_embedding.requires_grad_(True)


def save_adapter(path: Path, model: EmoshTransformer3DModel, provenance: Provenance) -> None:
    """Write the model's LoRA and motion embedding atomically."""
    from peft.utils import get_peft_model_state_dict

    config = model.peft_config[NAME]  # type: ignore[index]
    tensors = dict(get_peft_model_state_dict(model, adapter_name=NAME))  # type: ignore[arg-type]
    tensors |= {f"{EMBEDDING}.{name}": tensor for name, tensor in model.pose_patch_embedding.state_dict().items()}
    write_adapter(path, tensors, config.r, config.lora_alpha, provenance)


def write_adapter(path: Path, tensors: dict[str, Tensor], rank: int, alpha: float, provenance: Provenance) -> None:
    """Write an adapter atomically from its tensors, under the model's names without the adapter's own."""
    from safetensors.torch import save_file

    header = {
        "emosh_kind": KIND,
        "emosh_schema": str(SCHEMA),
        "emosh_layout": str(LAYOUT_VERSION),
        "rank": str(rank),
        "alpha": str(alpha),
        "emosh_provenance": provenance.to_json(),
    }
    plain = {PREFIX + name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    with atomic_path(Path(path)) as part:
        save_file(plain, part, header)


def read_adapter(path: Path) -> Adapter:
    """An adapter's header. Raises InputError for another file."""
    from safetensors import safe_open

    names = header(_safetensors(path))
    with safe_open(path, framework="numpy") as file:
        fields = file.metadata() or {}
    if fields.get("emosh_kind") != KIND:
        raise InputError(f"{path} is no emosh adapter; give a further LoRA with --set loras, not as the adapter")
    versions = fields.get("emosh_schema"), fields.get("emosh_layout")
    if versions != (str(SCHEMA), str(LAYOUT_VERSION)):
        raise InputError(
            f"{path} is an adapter of schema {versions[0]}, layout {versions[1]}; "
            f"this emosh reads {SCHEMA} and {LAYOUT_VERSION}: train or fetch one of its own"
        )
    try:
        rank, alpha = int(fields["rank"]), float(fields["alpha"])
        provenance = Provenance.from_json(fields["emosh_provenance"])
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: its header is damaged ({error}); make or fetch it again") from error
    if rank == 0:
        raise InputError(f"{path} holds a whole model's weights, no adapter; give the model/ beside it with --model")
    blocks = {name.split(".")[2] for name in names if name.startswith(f"{PREFIX}blocks.")}
    return Adapter(Path(path), rank, alpha, len(blocks), provenance)


def check_adapter(path: Path, config: dict[str, Any]) -> Adapter:
    """Refuse an adapter that was trained on another base. `config` is the base's transformer/config.json."""
    adapter = read_adapter(path)
    heads, size = config.get("num_attention_heads", 40), config.get("attention_head_dim", 128)
    shape = header(path).get(f"{PREFIX}{EMBEDDING}.bias", ("", ()))[1]
    if not shape:
        raise InputError(f"{path} holds no motion embedding; it is not a whole adapter")
    for what, own, base in (
        ("width", shape[0], heads * size),
        ("number of blocks", adapter.blocks, config.get("num_layers", 40)),
    ):
        if own != base:
            raise InputError(f"{path} was trained on another base: its {what} is {own}, the base's {base}")
    return adapter


def load_adapter(model: EmoshTransformer3DModel, path: Path, scale: float = 1.0) -> Adapter:
    """Put an adapter on the model: its LoRA under NAME at `scale`, its motion embedding in the base's place.

    Raises InputError for an adapter of another base.
    """
    adapter = check_adapter(path, dict(model.config))
    tensors = {name.removeprefix(PREFIX): tensor for name, tensor in _read(path).items()}
    own = {name: tensors.pop(name) for name in list(tensors) if name.startswith(f"{EMBEDDING}.")}
    model.pose_patch_embedding.load_state_dict(
        {name.removeprefix(f"{EMBEDDING}."): tensor for name, tensor in own.items()}
    )
    _add_lora(model, tensors, NAME, path)
    _activate(model, NAME, scale * adapter.alpha / adapter.rank)
    return adapter


def stack_lora(model: EmoshTransformer3DModel, path: Path, scale: float = 1.0) -> str:
    """Add a further LoRA (a step distillation, a style) at `scale`; its name among the model's adapters.

    Files in diffusers', Wan's own and musubi's names are understood. Raises InputError for one that does not fit.
    """
    from diffusers.loaders.lora_pipeline import WanLoraLoaderMixin

    tensors = _read(path)
    try:
        with silenced():
            converted = WanLoraLoaderMixin.lora_state_dict(tensors)
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(f"{path} is not a LoRA of a Wan transformer ({error})") from error
    assert isinstance(converted, dict)
    lora = {name.removeprefix(PREFIX): tensor for name, tensor in converted.items()}
    name = f"lora_{len(getattr(model, 'peft_config', {}))}"
    _add_lora(model, lora, name, path)
    _activate(model, name, scale)
    return name


def check_lora(path: Path) -> None:
    """Refuse, by its header alone, a file that holds no LoRA."""
    if not any("lora" in name for name in header(_safetensors(path))):
        raise InputError(f"{path} holds no LoRA")


def left_out(path: Path) -> list[str]:
    """Names in a LoRA file that diffusers has no place for and drops, block numbers as `*`: changes of norms, DoRA's
    scales, and a bias of the time projection without its weight. Read from the header.
    """
    names = list(header(_safetensors(path)))
    projected = any("time_projection" in name and name.endswith(".weight") for name in names)
    dropped = [
        name
        for name in names
        if ("norm" in name and name.endswith((".diff", ".diff_b")))
        or "dora_scale" in name
        or ("time_projection" in name and not projected)
    ]
    return sorted({re.sub(r"blocks\.\d+\.", "blocks.*.", name) for name in dropped})


def parsed_lora(text: str) -> tuple[Path, float]:
    """PATH or PATH:SCALE. Raises InputError for a scale that is no number."""
    path, colon, scale = text.rpartition(":")
    if not colon or text.endswith(".safetensors"):
        return Path(text), 1.0
    try:
        return Path(path), float(scale)
    except ValueError as error:
        raise InputError(f"loras: {text!r} is not PATH or PATH:SCALE") from error


def _add_lora(model: EmoshTransformer3DModel, tensors: dict[str, Tensor], name: str, path: Path) -> None:
    """Check names and shapes against the model, then let diffusers inject it."""
    linears = {key: module for key, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    linears = {key.removesuffix(".base_layer"): module for key, module in linears.items()}
    for key, tensor in tensors.items():
        module, _, role = key.partition(".lora_")
        linear = linears.get(module)
        if not role or linear is None:
            raise InputError(f"{path}: '{key}' belongs to nothing in this base; it is a LoRA of another model")
        if role == "A.weight" and tensor.shape[1] != linear.in_features:
            raise InputError(f"{path}: '{key}' reads {tensor.shape[1]} features, this base has {linear.in_features}")
        if role == "B.weight" and tensor.shape[0] != linear.out_features:
            raise InputError(f"{path}: '{key}' writes {tensor.shape[0]} features, this base has {linear.out_features}")
    with silenced(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")  # stacking is what is meant
        model.load_lora_adapter(tensors, prefix=None, adapter_name=name)  # type: ignore[arg-type]
    model.requires_grad_(False)


def _activate(model: EmoshTransformer3DModel, name: str, scale: float) -> None:
    """Add one adapter to those at work, each at its own scale."""
    scales: dict[str, float] = getattr(model, "emosh_scales", {})
    scales[name] = scale
    model.emosh_scales = scales  # type: ignore[assignment]
    model.set_adapters(list(scales), list(scales.values()))


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    header(_safetensors(path))
    return load_file(path)


def _safetensors(path: Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a .safetensors file")
    if path.suffix.lower() != ".safetensors":
        raise InputError(f"{path}: only .safetensors are read; other formats can run code when they are opened")
    return path
