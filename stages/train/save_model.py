"""Save a small model whose weights were all trained, as a folder that `emosh generate --model` takes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from stages.artifacts.leftovers import own
from stages.artifacts.safetensors_file import system_errors
from stages.wan.folder import TRAINED_ON, ModelFolder

MODEL = "model"


def write_folder(place: Path, model: Any, base: ModelFolder, drawing: str) -> Path:
    """Write the transformer and copies of the base's other parts to `place`, replacing a folder there in one step.

    `drawing` is the version of the drawing that it was trained on. Raises OSError where the disk is full; nothing is
    left then.
    """
    part, old = place.with_name(f".{place.name}.part"), place.with_name(f".{place.name}.old")
    for each in (part, old):
        shutil.rmtree(each, ignore_errors=True)
    with own(part):
        try:
            with system_errors(part):
                model.save_pretrained(part / "transformer")
            config = part / "transformer" / "config.json"
            values = {**json.loads(config.read_text(encoding="utf-8")), TRAINED_ON: drawing}
            config.write_text(json.dumps(values, indent=2))
            for other in sorted(base.path.iterdir()):
                if other.is_dir() and other.name != "transformer":
                    _copy(other, part / other.name)
            if place.exists():
                os.replace(place, old)
            os.replace(part, place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return place


def _copy(folder: Path, to: Path) -> None:
    """Copy a folder. An error of the system names the copy; shutil.copytree would collect errors as texts."""
    to.mkdir()
    for each in sorted(folder.iterdir()):
        if each.is_dir():
            _copy(each, to / each.name)
            continue
        try:
            shutil.copyfile(each, to / each.name)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(to / each.name)) from error
