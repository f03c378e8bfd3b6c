"""sha256 of model weights, read once: tens of gigabytes take minutes, so what a file hashed to is remembered.

A remembered digest counts while the file's size and time of change are what they were.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import sha256_file
from stages.progress import Progress, silent
from stages.wan.folder import ModelFolder

CACHE_FILE = "digests.json"


def folder_digests(
    folder: ModelFolder, parts: tuple[str, ...], cache: Path | None = None, progress: Progress = silent
) -> dict[str, str]:
    """Component -> sha256 over its files' digests, of the components asked for that are there."""
    found = {part: files for part in parts if (files := _files(folder.path / part))}
    digests = file_digests([file for files in found.values() for file in files], cache, progress)
    return {part: _over([(file.name, digests[file]) for file in files]) for part, files in found.items()}


def file_digests(files: list[Path], cache: Path | None = None, progress: Progress = silent) -> dict[Path, str]:
    """sha256 of each file. `cache` is a folder; without one, or where it cannot be written, nothing is remembered."""
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


def _over(named: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(sorted(named)).encode()).hexdigest()


def _read(cache: Path | None) -> dict[str, str]:
    if cache is None or not (cache / CACHE_FILE).is_file():
        return {}
    try:
        known = json.loads((cache / CACHE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a cache that cannot be read is made anew
    return known if isinstance(known, dict) else {}


def _write(cache: Path | None, known: dict[str, str]) -> None:
    if cache is None:
        return
    cache.mkdir(parents=True, exist_ok=True)
    with atomic_path(cache / CACHE_FILE) as part:
        part.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
