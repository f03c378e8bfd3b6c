"""The metric networks that are installed: which parts there are, and where each file lies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.provenance import sha256_file
from stages.errors import InputError

PARTS = (
    "lpips-alex-backbone", "lpips-alex-lins", "lpips-vgg-backbone", "lpips-vgg-lins", "lpips-vgg", "inception", "i3d",
    "arcface",
)  # fmt: skip
"""What a filed file can be. LPIPS is a backbone and its heads ("lins"), or NVIDIA's TorchScript of both."""
SUFFIXES = {"torchscript": ".pt", "onnx": ".onnx", "weights": ".safetensors"}


@dataclass(frozen=True)
class InstalledNetwork:
    """A file in its place, and where it came from. `sha256` is the source's, `file_sha256` that of what lies here."""

    part: str
    form: str
    sha256: str
    file_sha256: str
    said: str
    source: str
    trusted: bool

    def path(self, home: Path) -> Path:
        """Where it lies."""
        return folder(home) / f"{self.part}{SUFFIXES[self.form]}"


def folder(home: Path) -> Path:
    """The networks' place in emosh's home."""
    return home / "judges"


def installed(home: Path) -> dict[str, InstalledNetwork]:
    """Part -> what is filed. Raises InputError for a damaged record."""
    found = {}
    for part in PARTS:
        record = folder(home) / f"{part}.json"
        if record.is_file():
            try:
                found[part] = InstalledNetwork(**json.loads(record.read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                raise InputError(f"{record} is damaged; add the network again: emosh models list") from error
    return found


def checked(filed: InstalledNetwork, home: Path) -> Path:
    """The file's path, its bytes being those that were filed. Raises InputError when they are not."""
    path = filed.path(home)
    if not path.is_file() or sha256_file(path) != filed.file_sha256:
        raise InputError(
            f"{path} is not as it was added; add it again: emosh models add {filed.part.split('-')[0]} FILE"
        )
    return path
