"""Provenance: how an artifact was made. An artifact is reused only if its provenance is the expected one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stages.artifacts.text_files import parse_json

VERSION = "0.1.0"


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Provenance:
    """Everything that determines the content of an artifact, and notes that do not.

    `inputs` and `weights` map a role ("video", "body") to a sha256. `notes` holds information that a rerun need not
    match: file names, summary figures, the backend that ran.
    """

    stage: str
    config: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    version: str = VERSION
    notes: dict[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """sha256 over everything that determines the content: stage, version, config, seed, inputs, weights."""
        deciding = {key: value for key, value in asdict(self).items() if key != "notes"}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode()).hexdigest()

    def to_json(self) -> str:
        """One JSON object: all fields and the fingerprint."""
        return json.dumps({**asdict(self), "fingerprint": self.fingerprint()}, sort_keys=True, default=str)

    @staticmethod
    def from_json(text: str) -> Provenance:
        """Read the text of `to_json`. Raises ValueError for any other text."""
        fields = parse_json(text)
        if not isinstance(fields, dict) or not isinstance(fields.get("stage"), str):
            raise ValueError("not an emosh provenance record")
        if not all(isinstance(fields.get(key, {}), dict) for key in ("config", "inputs", "weights", "notes")):
            raise ValueError("not an emosh provenance record")
        if not all(isinstance(each, str) for key in ("inputs", "weights") for each in fields.get(key, {}).values()):
            raise ValueError("not an emosh provenance record")
        fields.pop("fingerprint", None)
        known = {key: fields[key] for key in Provenance.__dataclass_fields__ if key in fields}
        return Provenance(**known)


def source_notes(record: Provenance) -> dict[str, Any]:
    """What a motion was tracked from, for the notes of everything made of it: `source` and `source_sha256`.

    The bytes are what counts; a name alone says nothing, since anyone may write one.
    """
    tracked = record.inputs.get("video") or record.inputs.get("photo") if record.stage == "track" else None
    return {"source": record.notes.get("source"), "source_sha256": tracked or record.notes.get("source_sha256")}


def source_name(record: Provenance) -> str | None:
    """The last part of the recorded source's name; None where none is recorded. Never a path."""
    source = record.notes.get("source")
    name = source.replace("\\", "/").rpartition("/")[2] if isinstance(source, str) else ""
    return None if name in ("", ".", "..") or "\0" in name else name


def config_dict(config: Any) -> dict[str, Any]:
    """A config dataclass as plain values that JSON can hold."""
    assert is_dataclass(config)
    assert not isinstance(config, type)
    return json.loads(json.dumps(asdict(config), default=str))


@cache
def code_digest() -> str:
    """sha256 over the source files of `stages`, because results may change between two commits of one version."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
