"""Contents of an artifact as plain values: kind, table of arrays, figures, provenance. Does not import torch.

Reads npz, JSON reports and safetensors headers. Schemas that belong to other rooms are passed as arguments.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stages.artifacts.contacts import contacts_from
from stages.artifacts.motion import BODY_PARTS, PARTS, median_expected
from stages.artifacts.npz import Header, Npz, opened_npz
from stages.artifacts.schema import Schema
from stages.artifacts.streamed_safetensors import StreamedReader
from stages.errors import InputError

MAX_HEADER_BYTES = 100_000_000
"""safetensors' own limit on its header."""
OFTEN_ZERO = ("posedirs",)
"""Arrays of a body that are often 80 MB of zeros."""


@dataclass(frozen=True)
class Described:
    """The contents of a file, as `emosh inspect` shows them."""

    path: str
    kind: str
    rows: tuple[tuple[str, str, str, str], ...] = ()
    """One row per array: name, shape, dtype, meaning."""
    figures: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] | None = None
    problem: str | None = None
    """Why the file is not a valid artifact of its kind, in one line; None for a valid one."""


def describe_npz(path: Path, schemas: Mapping[str, Schema]) -> Described:
    """Describe any .npz by its arrays' headers; a file of a known kind is read and checked against its schema."""
    with opened_npz(path) as archive:
        archive.refuse_objects()
        kind = archive.text("emosh_kind") or "npz"
        schema = schemas.get(kind)
        meanings = {} if schema is None else {row.name: row.meaning for row in schema.fields}
        rows = tuple(
            (name, _shape(header), str(header.dtype), meanings.get(name, ""))
            for name, header in archive.headers.items()
        )
        problem = None
        try:
            arrays = {} if schema is None else archive.read_table(schema, OFTEN_ZERO)
            figures = _motion_figures(arrays, str(path)) if kind == "motion" else _single_values(archive)
        except InputError as error:
            problem, figures = str(error), _single_values(archive)
        return Described(str(path), kind, rows, figures, _provenance(archive.text("emosh_provenance")), problem)


def _shape(header: Header) -> str:
    return "x".join(str(size) for size in header.shape) or "one value"


def _single_values(archive: Npz) -> dict[str, Any]:
    """All arrays with a single value."""
    values = {name: archive.value(name) for name in archive.headers if name != "emosh_provenance"}
    return {name: value for name, value in values.items() if value is not None and len(str(value)) < 200}


def _motion_figures(arrays: Mapping[str, np.ndarray], where: str) -> dict[str, Any]:
    """Main figures of a motion: length, picture size, body, share of valid frames and errors, contacts."""
    valid, error = arrays["emosh_valid"], arrays["emosh_error_px"]
    numerator, denominator = (int(value) for value in arrays["emosh_fps"])
    figures: dict[str, Any] = {
        "frames": len(valid),
        "fps": f"{numerator}/{denominator}",
        "duration_seconds": float(arrays["emosh_duration_seconds"]),
        "image_size": [int(side) for side in arrays["emosh_image_size"]],
        "body_model": str(arrays["emosh_body_model"]),
        "body_sha256": str(arrays["emosh_body_sha256"]),
    }
    for column, part in enumerate(PARTS):
        rows = valid[:, column]
        figures[f"valid_{part}"] = round(float(rows.mean()), 4) if len(rows) else 0.0
        figures[f"error_px_{part}"] = round(float(np.median(error[rows, column])), 3) if rows.any() else None
    if "emosh_expected_mm" in arrays:
        usual = median_expected(arrays["emosh_expected_mm"], valid)
        figures |= {f"expected_mm_{part}": usual.get(part) for part in BODY_PARTS}
    contacts = contacts_from(arrays, len(valid), where)
    if contacts is not None:
        figures["contacts"] = contacts.lines(numerator / denominator)
    return figures


def _provenance(text: str) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def describe_json(path: Path) -> Described:
    """Describe a JSON report: its top-level entries, its single values, its provenance."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); make it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is JSON, but not a report of emosh; give a report.json")
    record = content.pop("provenance", None)
    provenance = record if isinstance(record, dict) else None
    rows = tuple((key, _size(value), type(value).__name__, "") for key, value in content.items())
    kind = str(content.get("kind", "json")) if provenance else "json"
    return Described(str(path), kind, rows, _scalars(content), provenance)


def _size(value: Any) -> str:
    return str(len(value)) if isinstance(value, list | dict | str) else "one value"


def _scalars(value: Any, prefix: str = "") -> dict[str, Any]:
    """Numbers and short texts by dotted name; lists and long texts are left out."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in _scalars(inner, f"{prefix}{key}.").items()}
    if isinstance(value, list) or (isinstance(value, str) and len(value) > 200):
        return {}
    return {prefix.rstrip("."): value}


def describe_safetensors(path: Path, schemas: Mapping[str, Schema] | None = None) -> Described:
    """Describe a safetensors file from its header; no tensor is read. A file of a known kind is checked."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise InputError(f"{path} is damaged or not a safetensors file; make or download it again")
        try:
            header = json.loads(file.read(length))
            metadata = header.pop("__metadata__", {})
            tensors = {
                name: (entry["dtype"], entry["shape"], entry["data_offsets"][1]) for name, entry in header.items()
            }
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise InputError(f"{path} has a damaged safetensors header; make or download it again") from error
    ends = max((end for _, _, end in tensors.values()), default=0)
    problem = (
        None
        if size == 8 + length + ends
        else f"{path} is cut short: {size} of {8 + length + ends} bytes; make or download it again"
    )
    kind = metadata.pop("emosh_kind", "safetensors")
    schema = (schemas or {}).get(kind)
    meanings = {} if schema is None else {row.name: row.meaning for row in schema.fields}
    rows = tuple(
        (name, "x".join(map(str, shape)) or "one value", dtype, meanings.get(name, ""))
        for name, (dtype, shape, _) in tensors.items()
    )
    if schema is not None and problem is None:
        problem = _schema_problem(path, schema)
    record = metadata.pop("emosh_provenance", None)
    return Described(str(path), kind, rows, dict(metadata), json.loads(record) if record else None, problem)


def _schema_problem(path: Path, schema: Schema) -> str | None:
    """The first difference between a safetensors file and its schema, or None."""
    try:
        schema.validate(StreamedReader(path).placeholders(), str(path))
    except InputError as error:
        return str(error)
    return None
