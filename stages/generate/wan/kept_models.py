"""Networks that stay loaded from clip to clip, in a process that draws many clips with the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stages.generate.wan.draw import Models
    from stages.wan.placement import Placement


@dataclass
class KeptModels:
    """The networks of the last clip, and the placement that they were loaded with.

    `fits` says what they were loaded for: weights, settings, device and picture size, compared as a whole.
    """

    models: Models | None = None
    placement: Placement | None = None
    fits: tuple[Any, ...] = ()

    def placement_for(self, fits: tuple[Any, ...]) -> Placement | None:
        """The placement of the kept networks if they fit; else they are let go, and None: plan with the memory free."""
        if self.models is not None and self.fits == fits:
            return self.placement
        self.clear()
        return None

    def clear(self) -> None:
        """Let the networks go, and give the memory of a GPU back."""
        if self.models is None:
            return
        device, self.models, self.fits = self.models.device, None, ()
        if device.type == "cuda":
            import gc

            import torch

            gc.collect()
            torch.cuda.empty_cache()
