"""Contents of an artifact as plain values: kind, table of arrays, figures, provenance. Does not import torch.

Reads npz, JSON reports and safetensors headers. Schemas that belong to other rooms are passed as arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stages.artifacts.contacts import contacts_from
from stages.artifacts.floor import floor_said
from stages.artifacts.motion import BODY_PARTS, MOTION, PARTS, check_together, median_expected
from stages.artifacts.npz import Header, Npz, opened_npz
from stages.artifacts.safetensors_file import read_header
from stages.artifacts.schema import Schema
from stages.artifacts.streamed_safetensors import StreamedReader
from stages.artifacts.text_files import parse_json, read_json_object
from stages.artifacts.world import WORLD_FIELDS, World
from stages.errors import InputError

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
            if kind == MOTION.kind and arrays:
                check_together(arrays, str(path))
            figures = _motion_figures(arrays, str(path)) if kind == MOTION.kind else _single_values(archive)
        except InputError as error:
            problem, figures = str(error), _single_values(archive)
        provenance = _provenance(archive.text("emosh_provenance"))
        if "floor" in figures and np.isfinite(arrays["emosh_floor"]).any():
            figures["floor"] += _doubt_about_floor(provenance)
        return Described(str(path), kind, rows, figures, provenance, problem)


def _doubt_about_floor(provenance: dict[str, Any] | None) -> str:
    """The person's distance, and with it the floor's, goes with the focal length."""
    notes = (provenance or {}).get("notes")
    source = notes.get("focal_source") if isinstance(notes, dict) else None
    return f"; doubtful, because the focal length is {source}" if source in ("estimated", "assumed") else ""


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
    if "emosh_camera" in arrays:
        figures["camera"] = _camera(arrays)
    if "emosh_floor" in arrays:
        figures["floor"] = floor_said(arrays["emosh_floor"])
    contacts = contacts_from(arrays, len(valid), where)
    if contacts is not None:
        figures["contacts"] = contacts.lines(numerator / denominator)
    return figures


def _camera(arrays: Mapping[str, np.ndarray]) -> str:
    """What the camera does in the shots of a motion that has passed `check_together`."""
    world = World(*(arrays[field.name] for field in WORLD_FIELDS))
    cuts = np.flatnonzero(np.diff(arrays["emosh_shot"])) + 1 if "emosh_shot" in arrays else []
    borders = [0, *cuts, len(world)]
    shots = [slice(int(first), int(last)) for first, last in itertools.pairwise(borders)]
    return world.said(shots, arrays["emosh_K"]).removeprefix("camera ")


def _provenance(text: str) -> dict[str, Any] | None:
    try:
        record = parse_json(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def describe_json(path: Path) -> Described:
    """Describe a JSON report: its top-level entries, its single values, its provenance."""
    content = read_json_object(path, "give a report.json")
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
    tensors, metadata = read_header(path, "make or download it again")
    kind = metadata.pop("emosh_kind", "safetensors")
    schema = (schemas or {}).get(kind)
    meanings = {} if schema is None else {row.name: row.meaning for row in schema.fields}
    rows = tuple(
        (name, "x".join(map(str, each.shape)) or "one value", each.dtype, meanings.get(name, ""))
        for name, each in tensors.items()
    )
    problem = None if schema is None else _schema_problem(path, schema)
    record = _provenance(metadata.pop("emosh_provenance", ""))
    return Described(str(path), kind, rows, dict(metadata), record, problem)


def _schema_problem(path: Path, schema: Schema) -> str | None:
    """The first difference between a safetensors file and its schema, or None."""
    try:
        schema.validate(StreamedReader(path).placeholders(), str(path))
    except InputError as error:
        return str(error)
    return None
