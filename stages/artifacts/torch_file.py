"""Read .pt and .pth files: tensors and plain containers only, nothing is run. Every damage is one InputError."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.artifacts.regular_file import require_regular_file
from stages.artifacts.zip_directory import check_torch_archive, check_unpacked
from stages.errors import InputError


def load_torch(path: Path, advice: str) -> Any:
    """What the file holds, on the processor. Raises InputError for a damaged file, one that would run code, and one
    whose tensors are larger than a file of its size may hold."""
    import torch

    path = require_regular_file(path, advice)
    check_torch_archive(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever the bytes make it do
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(
            f"{path} is damaged, or cannot be read without running code from it ({reason}); {advice}"
        ) from error
    check_unpacked(path, _sizes(loaded))
    return loaded


def _sizes(value: Any) -> Iterator[int]:
    """Bytes of every tensor as it will be copied: one may show a few stored numbers again and again."""
    import torch

    if isinstance(value, dict):
        for inner in value.values():
            yield from _sizes(inner)
    elif isinstance(value, torch.Tensor):
        yield value.numel() * max(4, value.element_size())
