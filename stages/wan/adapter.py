"""adapter.safetensors: what training changes (paper 0.B.2), a LoRA on every linear of every block and the motion
embedding, in one file.

Names are peft's as diffusers writes them, `transformer.blocks.0.attn1.to_q.lora_A.weight`, and
`transformer.pose_patch_embedding.weight`. Further LoRA files (step distillation) stack on top by name.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import Provenance
from stages.errors import InputError
from stages.wan.layout import LAYOUT_VERSION
from stages.wan.loading import silenced
from stages.wan.lora_check import PREFIX, check_fit, check_lora, converted
from stages.wan.nan_check import check_finite
from stages.wan.part_check import EMBEDDING, expected_shapes
from stages.wan.safetensors_headers import FLOATS, read_header
from stages.wan.transformer import EmoshTransformer3DModel

KIND, SCHEMA = "adapter", 1
NAME = "emosh"
"""Name of our adapter among the model's; the others are called `lora_0`, `lora_1`, ..."""
OWN = (f"{EMBEDDING}.weight", f"{EMBEDDING}.bias")
"""What an adapter holds beside its LoRA."""
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
    names, fields = read_header(_safetensors(path))
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
    """Refuse, by its header alone, an adapter that was trained on another base or is not whole. `config` is the base's
    transformer/config.json.
    """
    adapter = read_adapter(path)
    heads, size = config.get("num_attention_heads", 40), config.get("attention_head_dim", 128)
    entries = {name.removeprefix(PREFIX): entry for name, entry in read_header(path)[0].items()}
    bias = entries.get(f"{EMBEDDING}.bias")
    if bias is None or not bias.shape:
        raise InputError(f"{path} holds no motion embedding; it is not a whole adapter")
    for what, own, base in (
        ("width", bias.shape[0], heads * size),
        ("number of blocks", adapter.blocks, config.get("num_layers", 40)),
    ):
        if own != base:
            raise InputError(f"{path} was trained on another base: its {what} is {own}, the base's {base}")
    check_fit(path, {name: each for name, each in entries.items() if name not in OWN}, config, adapter.rank)
    expected = expected_shapes(config)
    for name in OWN:
        if name not in entries or entries[name].shape != expected[name] or entries[name].dtype not in FLOATS:
            raise InputError(f"{path}: its {name} is absent or not this base's; train or fetch the adapter again")
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
    _add_lora(model, tensors, NAME)
    _activate(model, NAME, scale * adapter.alpha / adapter.rank)
    return adapter


def stack_lora(model: EmoshTransformer3DModel, path: Path, scale: float = 1.0) -> str:
    """Add a further LoRA (a step distillation, a style) at `scale`; its name among the model's adapters.

    Files in diffusers', Wan's own and musubi's names are understood. Raises InputError for one that does not fit.
    """
    check_lora(_safetensors(path), model.config)
    lora = converted(path, _read(path))
    name = f"lora_{len(getattr(model, 'peft_config', {}))}"
    _add_lora(model, lora, name)
    _activate(model, name, scale)
    return name


def parsed_lora(text: str) -> tuple[Path, float]:
    """PATH or PATH:SCALE. Raises InputError for a scale that is no number."""
    path, colon, scale = text.rpartition(":")
    if not colon or text.endswith(".safetensors"):
        return Path(text), 1.0
    try:
        number = float(scale)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"loras: {text!r} is not PATH or PATH:SCALE")
    return Path(path), number


def _add_lora(model: EmoshTransformer3DModel, tensors: dict[str, Tensor], name: str) -> None:
    """Let diffusers inject what was found to fit."""
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

    read_header(_safetensors(path))
    tensors = load_file(path)
    check_finite(path, tensors)
    return tensors


def _safetensors(path: Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a .safetensors file")
    if path.suffix.lower() != ".safetensors":
        raise InputError(f"{path}: only .safetensors are read; other formats can run code when they are opened")
    return path
