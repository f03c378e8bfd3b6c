"""Prepare the transformer for training: a LoRA on every block and the motion embedding, or every weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from stages.train.config import TrainConfig
from stages.train.linear_8bit import store_in_8_bits
from stages.wan.adapter import ADAPTER_NAME, add_adapter
from stages.wan.folder import ModelFolder
from stages.wan.loading import DTYPES, load_transformer
from stages.wan.transformer import EmoshTransformer3DModel


def load_trainable(folder: ModelFolder, config: TrainConfig, device: torch.device | str) -> EmoshTransformer3DModel:
    """Load the base and add the trained weights in float32. With 8-bit storage it is converted on the CPU, then
    moved."""
    on_cpu_first = config.storage == "fp8"
    dtype = "float32" if config.tune == "all" else config.dtype
    model = load_transformer(folder, DTYPES[dtype], "cpu" if on_cpu_first else device)
    torch.manual_seed(config.seed)
    return make_trainable(model, config).to(device)  # type: ignore[return-value]


def make_trainable(model: EmoshTransformer3DModel, config: TrainConfig) -> EmoshTransformer3DModel:
    """Add the trained weights to a loaded base; set 8-bit storage and gradient checkpointing."""
    if config.tune == "all":
        model.requires_grad_(True)
    else:
        add_adapter(model, config.rank)
    for _, parameter in tuned_parameters(model):
        parameter.data = parameter.data.float()
    if config.storage == "fp8":
        store_in_8_bits(model.blocks, DTYPES[config.dtype], config.offload_weights)
    if config.gradient_checkpointing:
        model.enable_gradient_checkpointing(_offloaded if config.offload_activations else None)
    return model


def tuned_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """(name, parameter) of every trained parameter, in the model's order."""
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def adapter_tensor_name(name: str) -> str:
    """A trained parameter's name in an adapter file."""
    return name.replace(f".{ADAPTER_NAME}.", ".")


def gather(tensor: Tensor) -> Tensor:
    """A copy on the CPU of a tensor that may be sharded over GPUs. All processes must call this together."""
    from torch.distributed.tensor import DTensor

    found = tensor.detach()
    return (found.full_tensor() if isinstance(found, DTensor) else found).cpu().clone()


@torch.no_grad()
def copy_whole(into: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into one that may be sharded over GPUs."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(into, DTensor):
        into.copy_(distribute_tensor(value.to(into.device), into.device_mesh, into.placements))
    else:
        into.copy_(value)


def _offloaded(module: nn.Module, *inputs: Any) -> Any:
    """Run a checkpointed block that keeps its inputs in host memory until the backward pass."""
    from torch.utils.checkpoint import checkpoint

    with torch.autograd.graph.save_on_cpu(pin_memory=torch.cuda.is_available()):
        return checkpoint(module.__call__, *inputs, use_reentrant=False)
