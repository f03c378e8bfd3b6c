"""Reads the provenance that is stored in a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from stages.artifacts.provenance import Provenance
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


def stage_of(path: Path) -> str | None:
    """The stage that wrote the file; None for a file without provenance (not from emosh, damaged or empty)."""
    record = provenance_of(path)
    return None if record is None else record.stage


def provenance_of(path: Path) -> Provenance | None:
    """The provenance in a motion, export, video or report; None if it holds none."""
    try:
        text = _provenance_text(path)
        return None if text is None else Provenance.from_json(text)
    except (InputError, ValueError, KeyError, OSError):
        return None


def _provenance_text(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _npz_provenance(path)
    if suffix == ".json":
        report = read_json_object(path, "")
        return json.dumps(report["provenance"]) if "provenance" in report else None
    if suffix == ".glb":
        from stages.export.glb_buffer import read_document

        record = read_document(path)["asset"].get("extras", {}).get("emosh_provenance")
        return None if record is None else json.dumps(record)
    if suffix == ".html":
        return _page_provenance(path)
    if suffix == ".rrd":
        from stages.export.recording import read_provenance

        return read_provenance(path)
    if suffix == ".safetensors":
        from stages.artifacts.describe import describe_safetensors

        record = describe_safetensors(path).provenance
        return None if record is None else json.dumps(record)
    if suffix == ".png":
        from stages.video.photo import comment_of

        return comment_of(path)
    if suffix in VIDEO_SUFFIXES:
        from stages.video.metadata import read_metadata

        return read_metadata(path).get("comment")
    return None


def _page_provenance(path: Path) -> str | None:
    """The stage from the head of an HTML page: <meta name="generator" content="emosh STAGE">."""
    with path.open(encoding="utf-8") as file:
        found = re.search(r'<meta name="generator" content="emosh ([a-z-]+)"', file.read(2000))
    return Provenance(found[1]).to_json() if found else None


def _npz_provenance(path: Path) -> str | None:
    from stages.artifacts.npz import opened_npz

    with opened_npz(path) as archive:
        return archive.text("emosh_provenance") or None
