"""Learning rate schedule, and the exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from stages.train.config import TrainConfig
from stages.train.model import tuned_parameters

LAST_RATE_SHARE = 0.05
"""Learning rate at the end of the decay, as a share of the full rate."""


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of the step after `step` steps: it rises during the warm-up, stays level, and falls during the
    decay."""
    rise = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    begins = config.steps * (1 - config.decay_share)
    share = (step - begins) / max(1.0, config.steps - begins) if config.decay_share else 0.0
    return config.learning_rate * rise * (1 - (1 - LAST_RATE_SHARE) * min(max(share, 0.0), 1.0))


class WeightAverage:
    """The exponential moving average of the trained weights. After n steps its decay is min(decay, (n + 1) / (n + 10)),
    so that the first weights soon lose influence (the warm-up of torch_ema and diffusers' EMAModel)."""

    def __init__(self, model: Any, decay: float) -> None:
        self._decay = decay
        self.values = {name: parameter.detach().clone() for name, parameter in tuned_parameters(model)}

    @torch.no_grad()
    def update(self, model: Any, step: int) -> None:
        """Add the weights after `step` steps to the average."""
        share = 1 - min(self._decay, (step + 1) / (step + 10))
        for name, parameter in tuned_parameters(model):
            self.values[name].lerp_(parameter.detach(), share)

    @contextmanager
    def applied(self, model: Any) -> Iterator[dict[str, Tensor]]:
        """Give the model the average as its weights while the block runs. Yields its own weights, which are restored
        after."""
        own = {name: parameter.detach().clone() for name, parameter in tuned_parameters(model)}
        _put(model, self.values)
        try:
            yield own
        finally:
            _put(model, own)


@torch.no_grad()
def _put(model: Any, values: dict[str, Tensor]) -> None:
    for name, parameter in tuned_parameters(model):
        parameter.copy_(values[name])
