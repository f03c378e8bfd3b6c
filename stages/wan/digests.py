"""sha256 of model weights. Hashing tens of gigabytes takes minutes, so digests are cached on disk.

A cached digest is used as long as the file's size and modification time are unchanged.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import sha256_file
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.wan.folder import ModelFolder

CACHE_FILE = "digests.json"


def folder_digests(
    folder: ModelFolder, parts: tuple[str, ...], cache: Path | None = None, progress: Progress = silent
) -> dict[str, str]:
    """Component -> sha256 over the digests of its files, for those of `parts` that the folder has."""
    found = {part: files for part in parts if (files := _files(folder.path / part))}
    digests = file_digests([file for files in found.values() for file in files], cache, progress)
    return {part: _combined([(file.name, digests[file]) for file in files]) for part, files in found.items()}


def file_digests(files: list[Path], cache: Path | None = None, progress: Progress = silent) -> dict[Path, str]:
    """sha256 of each file. `cache` is the folder of cached digests; None caches nothing."""
    known = _read(cache)
    digests = {}
    for number, file in enumerate(files):
        stat = file.resolve().stat()
        key = f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        if key not in known:
            progress("reading the weights once for their sha256", number, len(files))
            known[key] = sha256_file(file)
            _write(cache, known)
        digests[file] = known[key]
    return digests


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*") if file.suffix in (".safetensors", ".json") and file.is_file())


def _combined(named: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(sorted(named)).encode()).hexdigest()


def _read(cache: Path | None) -> dict[str, str]:
    if cache is None or not (cache / CACHE_FILE).is_file():
        return {}
    try:
        return read_json_object(cache / CACHE_FILE, "")
    except InputError:
        return {}  # an unreadable cache is written again


def _write(cache: Path | None, known: dict[str, str]) -> None:
    if cache is None:
        return
    with suppress(OSError, InputError):  # without a place for it, the next run computes them again
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_path(cache / CACHE_FILE) as part:
            part.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
