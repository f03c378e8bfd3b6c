"""The installed metric networks: which parts are there, and where each file lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.provenance import sha256_file
from stages.artifacts.records import record_of
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError

PARTS = (
    "lpips-alex-backbone", "lpips-alex-lins", "lpips-vgg-backbone", "lpips-vgg-lins", "lpips-vgg", "inception", "i3d",
    "arcface",
)  # fmt: skip
"""What an installed file can be. LPIPS is a backbone and its heads ("lins"), or NVIDIA's TorchScript with both."""
SUFFIXES = {"torchscript": ".pt", "onnx": ".onnx", "weights": ".safetensors"}


@dataclass(frozen=True)
class InstalledNetwork:
    """An installed file and its origin: `sha256` of the source, `file_sha256` of this file, `said` describes it."""

    part: str
    form: str
    sha256: str
    file_sha256: str
    said: str
    source: str
    trusted: bool

    def path(self, home: Path) -> Path:
        """Where the file lies."""
        return networks_folder(home) / f"{self.part}{SUFFIXES[self.form]}"


def networks_folder(home: Path) -> Path:
    """The folder of the networks in emosh's data folder."""
    return home / "judges"


def installed(home: Path) -> dict[str, InstalledNetwork]:
    """Part -> installed network. Raises InputError for a damaged record."""
    found = {}
    for part in PARTS:
        record = networks_folder(home) / f"{part}.json"
        if record.is_file():
            try:
                found[part] = record_of(
                    InstalledNetwork, read_json_object(record, "add the network again: emosh models list")
                )
                if found[part].part != part or found[part].form not in SUFFIXES:
                    raise ValueError("another part's record")
            except (ValueError, TypeError) as error:
                raise InputError(f"{record} is damaged; add the network again: emosh models list") from error
    return found


def checked_path(network: InstalledNetwork, home: Path) -> Path:
    """The file's path. Raises InputError if the file is missing or its bytes have changed since it was added."""
    path = network.path(home)
    if not path.is_file() or sha256_file(path) != network.file_sha256:
        raise InputError(
            f"{path} is missing or has changed; add it again: emosh models add {network.part.split('-')[0]} FILE"
        )
    return path
