"""Save a small model whose weights were all trained, as a folder that `emosh generate --model` takes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from stages.wan.folder import ModelFolder

MODEL = "model"


def write_folder(place: Path, model: Any, base: ModelFolder) -> Path:
    """Write the transformer and copies of the base's other parts to `place`, replacing a folder there in one step."""
    part, old = place.with_name(f".{place.name}.part"), place.with_name(f".{place.name}.old")
    for each in (part, old):
        shutil.rmtree(each, ignore_errors=True)
    model.save_pretrained(part / "transformer")
    for other in sorted(base.path.iterdir()):
        if other.is_dir() and other.name != "transformer":
            shutil.copytree(other, part / other.name)
    if place.exists():
        os.replace(place, old)
    os.replace(part, place)
    shutil.rmtree(old, ignore_errors=True)
    return place
