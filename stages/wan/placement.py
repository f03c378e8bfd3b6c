"""Where the weights are while a clip is drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Placement:
    """Where the weights are, how they are stored, and whether the VAE works in tiles."""

    group_offload: bool = False
    fp8_storage: bool = False
    vae_tiling: bool = False

    def text(self) -> str:
        """One line for messages."""
        place = "block by block from host memory" if self.group_offload else "on the card"
        kind = "stored in 8 bits, " if self.fp8_storage else ""
        return f"transformer {kind}{place}{', VAE in tiles' if self.vae_tiling else ''}"
