"""adapter.safetensors: the trained weights (paper 0.B.2) in one file, a LoRA on every linear layer of every block, and
the motion embedding.

Tensor names are peft's as diffusers writes them: `transformer.blocks.0.attn1.to_q.lora_A.weight`, and
`transformer.pose_patch_embedding.weight`. Further LoRA files (such as step distillation) are added beside it.
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
from stages.artifacts.safetensors_file import load_tensors, save_tensors
from stages.errors import InputError
from stages.wan.layout import LAYOUT_VERSION
from stages.wan.loading import quiet_libraries
from stages.wan.lora_check import PREFIX, check_lora, check_lora_shapes, to_diffusers_names
from stages.wan.nan_check import check_finite
from stages.wan.part_check import EMBEDDING, expected_shapes
from stages.wan.safetensors_headers import FLOATS, read_header
from stages.wan.transformer import EmoshTransformer3DModel

KIND, SCHEMA = "adapter", 1
ADAPTER_NAME = "emosh"
"""Name of emosh's adapter in the model. Further LoRAs are called `lora_0`, `lora_1`, ..."""
EMBEDDING_TENSORS = (f"{EMBEDDING}.weight", f"{EMBEDDING}.bias")
"""The adapter's tensors that are not LoRA."""
RANK = 32
TARGETS = (
    "attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0",
    "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0", "attn2.add_k_proj", "attn2.add_v_proj",
    "ffn.net.0.proj", "ffn.net.2",
)  # fmt: skip
"""The 12 linear layers of a block: self-attention, cross-attention (text and image) and feed-forward."""


@dataclass(frozen=True)
class Adapter:
    """The fields of an adapter's header."""

    path: Path
    rank: int
    alpha: float
    blocks: int
    provenance: Provenance | None


def add_adapter(model: EmoshTransformer3DModel, rank: int = RANK, alpha: float | None = None) -> None:
    """Add a new LoRA to the model and make it and the motion embedding trainable; all other weights stay frozen."""
    from peft import LoraConfig

    pattern = "|".join(re.escape(name) for name in TARGETS)
    model.add_adapter(
        LoraConfig(r=rank, lora_alpha=alpha or rank, target_modules=rf"blocks\.\d+\.(?:{pattern})"),  # type: ignore[arg-type]
        adapter_name=ADAPTER_NAME,
    )
    model.pose_patch_embedding.requires_grad_(True)


def write_adapter(path: Path, tensors: dict[str, Tensor], rank: int, alpha: float, provenance: Provenance) -> None:
    """Write an adapter atomically. `tensors` have the model's names, without the adapter's name in them."""
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
        save_tensors(part, plain, header)


def read_adapter(path: Path) -> Adapter:
    """Read an adapter's header. Raises InputError for any other file."""
    names, fields = read_header(_checked_path(path))
    if fields.get("emosh_kind") != KIND:
        raise InputError(f"{path} is not an emosh adapter; give a further LoRA with --set loras, not as the adapter")
    versions = fields.get("emosh_schema"), fields.get("emosh_layout")
    if versions != (str(SCHEMA), str(LAYOUT_VERSION)):
        raise InputError(
            f"{path} is an adapter of schema {versions[0]}, layout {versions[1]}; "
            f"this emosh reads schema {SCHEMA}, layout {LAYOUT_VERSION}: train or fetch an adapter for it"
        )
    try:
        rank, alpha = int(fields["rank"]), float(fields["alpha"])
        provenance = Provenance.from_json(fields["emosh_provenance"])
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: its header is damaged ({error}); make or fetch it again") from error
    if rank == 0:
        raise InputError(
            f"{path} holds the weights of a whole model, not an adapter; give the model/ folder beside it with --model"
        )
    blocks = {name.split(".")[2] for name in names if name.startswith(f"{PREFIX}blocks.")}
    return Adapter(Path(path), rank, alpha, len(blocks), provenance)


def check_adapter(path: Path, config: dict[str, Any]) -> Adapter:
    """Refuse an adapter that was trained on another base or is incomplete. Reads only its header.

    `config` is the base's transformer/config.json.
    """
    adapter = read_adapter(path)
    heads, size = config.get("num_attention_heads", 40), config.get("attention_head_dim", 128)
    entries = {name.removeprefix(PREFIX): entry for name, entry in read_header(path)[0].items()}
    bias = entries.get(f"{EMBEDDING}.bias")
    if bias is None or not bias.shape:
        raise InputError(f"{path} holds no motion embedding, so the adapter is incomplete; train or fetch it again")
    for what, own, base in (
        ("width", bias.shape[0], heads * size),
        ("number of blocks", adapter.blocks, config.get("num_layers", 40)),
    ):
        if own != base:
            raise InputError(f"{path} was trained on another base: its {what} is {own}, this base's is {base}")
    lora = {name: entry for name, entry in entries.items() if name not in EMBEDDING_TENSORS}
    check_lora_shapes(path, lora, config, adapter.rank)
    expected = expected_shapes(config)
    for name in EMBEDDING_TENSORS:
        if name not in entries or entries[name].shape != expected[name] or entries[name].dtype not in FLOATS:
            raise InputError(
                f"{path}: its {name} is absent or does not fit this base; train or fetch the adapter again"
            )
    return adapter


def load_adapter(model: EmoshTransformer3DModel, path: Path, scale: float = 1.0) -> Adapter:
    """Put an adapter on the model: its LoRA under ADAPTER_NAME at `scale`; its motion embedding replaces the base's.

    Raises InputError for an adapter of another base.
    """
    adapter = check_adapter(path, dict(model.config))
    tensors = {name.removeprefix(PREFIX): tensor for name, tensor in _read_tensors(path).items()}
    own = {name: tensors.pop(name) for name in list(tensors) if name.startswith(f"{EMBEDDING}.")}
    model.pose_patch_embedding.load_state_dict(
        {name.removeprefix(f"{EMBEDDING}."): tensor for name, tensor in own.items()}
    )
    _add_lora(model, tensors, ADAPTER_NAME)
    _activate(model, ADAPTER_NAME, scale * adapter.alpha / adapter.rank)
    return adapter


def stack_lora(model: EmoshTransformer3DModel, path: Path, scale: float = 1.0) -> str:
    """Add a further LoRA (a step distillation, a style) at `scale`. Returns its name in the model.

    Reads files with diffusers', Wan's own or musubi's tensor names. Raises InputError for one that does not fit.
    """
    check_lora(_checked_path(path), model.config)
    lora = to_diffusers_names(path, _read_tensors(path))
    name = f"lora_{len(getattr(model, 'peft_config', {}))}"
    _add_lora(model, lora, name)
    _activate(model, name, scale)
    return name


def parse_lora(text: str) -> tuple[Path, float]:
    """(path, scale) of PATH or PATH:SCALE. Raises InputError for a scale that is not a number."""
    path, colon, scale = text.rpartition(":")
    if not colon or text.endswith(".safetensors"):
        return Path(text), 1.0
    try:
        number = float(scale)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"loras: {text!r} is not PATH or PATH:SCALE; write the scale as a number, such as 0.5")
    return Path(path), number


def _add_lora(model: EmoshTransformer3DModel, tensors: dict[str, Tensor], name: str) -> None:
    """Let diffusers add LoRA tensors whose names and shapes were checked."""
    with quiet_libraries(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several LoRAs are intended
        model.load_lora_adapter(tensors, prefix=None, adapter_name=name)  # type: ignore[arg-type]
    model.requires_grad_(False)


def _activate(model: EmoshTransformer3DModel, name: str, scale: float) -> None:
    """Switch one more adapter on; every adapter keeps its own scale."""
    scales: dict[str, float] = getattr(model, "emosh_scales", {})
    scales[name] = scale
    model.emosh_scales = scales  # type: ignore[assignment]
    model.set_adapters(list(scales), list(scales.values()))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    tensors = load_tensors(_checked_path(path), "fetch or make it again")
    check_finite(path, tensors)
    return tensors


def _checked_path(path: Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a .safetensors file")
    if path.suffix.lower() != ".safetensors":
        raise InputError(
            f"{path}: only .safetensors files are read, because other formats can run code; get it as .safetensors"
        )
    return path
