"""A training run in a process of its own, which says on stdout how far it is; processes import it by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.artifacts.training_cache import TrainingCache
from stages.train import loop
from stages.train.config import TrainConfig
from stages.train.training_set import TrainingSet
from stages.wan.folder import open_folder


def run(folder: Path, cache: Path, out: Path, config: TrainConfig) -> None:
    """Train on the CPU; the main process ends with its number of processes and the losses."""
    _told(folder, cache, out, config, loop.make_accelerator(config, out, cpu=True))


def run_sharded(folder: Path, cache: Path, out: Path, config: TrainConfig) -> None:
    """`run`, but sharded by FSDP 2, stopped after two steps and gone on from there."""
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    accelerator = loop.make_accelerator(config, out, cpu=True)
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=["WanTransformerBlock"],
    )
    plugin.set_mixed_precision("bf16")  # as accelerate does on cards; on the CPU it never shards unless told to
    loop.configure_fsdp(plugin)
    accelerator.state._shared_state["distributed_type"] = accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = plugin
    accelerator.end_training = lambda: None  # it ends the processes' talk for good
    loop.train(
        open_folder(folder),
        TrainingSet.of([TrainingCache(cache)], config.shares),
        replace(config, steps=2),
        out,
        accelerator=accelerator,
    )
    del accelerator.end_training
    _told(folder, cache, out, config, accelerator)


def _told(folder: Path, cache: Path, out: Path, config: TrainConfig, accelerator: Any) -> None:
    def told(label: str, done: int, total: int | None) -> None:
        if accelerator.is_main_process:
            print(f"step {done}", flush=True)

    trained = loop.train(
        open_folder(folder),
        TrainingSet.of([TrainingCache(cache)], config.shares),
        config,
        out,
        accelerator=accelerator,
        progress=told,
    )
    if accelerator.is_main_process:
        print(json.dumps([accelerator.num_processes, trained.losses]), flush=True)
