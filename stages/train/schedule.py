"""How the learning rate goes, and the mean of the weights over steps, where a run asks for either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from stages.train.config import TrainConfig
from stages.train.model import tuned

LEAST = 0.05
"""Of the learning rate, at a decay's end."""


def learning_rate(config: TrainConfig, step: int) -> float:
    """Of the step that follows `step` steps: rising over the warm-up, level, falling over the last share."""
    rise = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    begins = config.steps * (1 - config.decay_share)
    share = (step - begins) / max(1.0, config.steps - begins) if config.decay_share else 0.0
    return config.learning_rate * rise * (1 - (1 - LEAST) * min(max(share, 0.0), 1.0))


class Mean:
    """The exponential mean of what is tuned: after n steps the decay is min(ema, (n + 1) / (n + 10)), so that the
    first weights are soon forgotten (as torch_ema and diffusers' EMAModel warm up)."""

    def __init__(self, model: Any, decay: float) -> None:
        self._decay = decay
        self.values = {name: parameter.detach().clone() for name, parameter in tuned(model)}

    @torch.no_grad()
    def update(self, model: Any, step: int) -> None:
        """Take in the weights after `step` steps."""
        share = 1 - min(self._decay, (step + 1) / (step + 10))
        for name, parameter in tuned(model):
            self.values[name].lerp_(parameter.detach(), share)

    @contextmanager
    def shown(self, model: Any) -> Iterator[dict[str, Tensor]]:
        """The model with the mean in place of its own weights, which are handed out meanwhile."""
        own = {name: parameter.detach().clone() for name, parameter in tuned(model)}
        _put(model, self.values)
        try:
            yield own
        finally:
            _put(model, own)


@torch.no_grad()
def _put(model: Any, values: dict[str, Tensor]) -> None:
    for name, parameter in tuned(model):
        parameter.copy_(values[name])
