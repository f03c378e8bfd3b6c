"""Drawing in a process of its own, which says on stdout how far it is; processes import it by name."""

from __future__ import annotations

from pathlib import Path

from stages.generate.wan.generate import generate
from stages.generate.wan.model_weights import hash_source
from stages.wan.config import WanConfig
from stages.wan.folder import open_folder


def draw(folder: Path, clip: Path, out: Path, work: Path, config: WanConfig) -> None:
    """The clip's latents as a video."""

    def told(label: str, done: int, total: int | None) -> None:
        print(f"{label} {done}", flush=True)

    generate(clip, hash_source(open_folder(folder), None, config), config, out, work, progress=told)
