"""The transformer made ready to learn: a LoRA on every block and the motion embedding, or all of a small model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from stages.train.config import TrainConfig
from stages.train.linear_8bit import store
from stages.wan.adapter import NAME, add_adapter
from stages.wan.folder import ModelFolder
from stages.wan.loading import DTYPES, load_transformer
from stages.wan.transformer import EmoshTransformer3DModel


def trainable(folder: ModelFolder, config: TrainConfig, device: torch.device | str) -> EmoshTransformer3DModel:
    """Load the base and add what is tuned, in float32. Stored in 8 bits, it is cast on the CPU and moved then."""
    waits = config.storage == "fp8"
    dtype = "float32" if config.tune == "all" else config.dtype
    model = load_transformer(folder, DTYPES[dtype], "cpu" if waits else device)
    torch.manual_seed(config.seed)
    return prepared(model, config).to(device)  # type: ignore[return-value]


def prepared(model: EmoshTransformer3DModel, config: TrainConfig) -> EmoshTransformer3DModel:
    """A loaded base with what is tuned."""
    if config.tune == "all":
        model.requires_grad_(True)
    else:
        add_adapter(model, config.rank)
    for _, parameter in tuned(model):
        parameter.data = parameter.data.float()
    if config.storage == "fp8":
        store(model.blocks, DTYPES[config.dtype], config.offload_weights)
    if config.gradient_checkpointing:
        model.enable_gradient_checkpointing(_offloaded if config.offload_activations else None)
    return model


def tuned(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """(name, parameter) of all that learns, in the model's order."""
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def file_name(name: str) -> str:
    """A tuned parameter's name as it stands in an adapter file."""
    return name.replace(f".{NAME}.", ".")


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be sharded over GPUs, whole and on the CPU. All processes must call it together."""
    from torch.distributed.tensor import DTensor

    found = tensor.detach()
    return (found.full_tensor() if isinstance(found, DTensor) else found).cpu().clone()


@torch.no_grad()
def take(into: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into one that may be sharded."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(into, DTensor):
        into.copy_(distribute_tensor(value.to(into.device), into.device_mesh, into.placements))
    else:
        into.copy_(value)


def _offloaded(module: nn.Module, *given: Any) -> Any:
    """A checkpointed block whose inputs wait in host memory."""
    from torch.utils.checkpoint import checkpoint

    with torch.autograd.graph.save_on_cpu(pin_memory=torch.cuda.is_available()):
        return checkpoint(module.__call__, *given, use_reentrant=False)
