"""glTF 2.0's binary container: arrays become accessors in one buffer; the JSON and the buffer become one .glb file.

It follows the Khronos specification, version 2.0.1, sections 3.6 (buffers, views, accessors) and 4.4 (GLB layout).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stages.artifacts.atomic import atomic_path
from stages.artifacts.text_files import parse_json

COMPONENT = {"float32": 5126, "uint32": 5125, "uint16": 5123, "uint8": 5121}
TYPE = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
"""glTF's targets of a buffer view: vertex attributes, triangle indices."""
ALIGNMENT = 4


@dataclass
class Buffer:
    """The arrays of a file; `accessors` and `views` are the JSON that describes them."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, array: np.ndarray, target: int | None = None, bounds: bool = False, normalized: bool = False) -> int:
        """Append an array whose first axis counts elements; returns its accessor. Matrices are stored by column."""
        accessor = {
            "bufferView": self._view(array, target),
            "componentType": COMPONENT[array.dtype.name],
            "count": len(array),
            "type": TYPE[array.shape[1:]],
        }
        if normalized:
            accessor["normalized"] = True
        return self._listed(accessor, array if bounds else None)

    def add_sparse(self, count: int, rows: np.ndarray, values: np.ndarray) -> int:
        """Append an array of `count` rows: `values` at `rows` (rising), zero elsewhere. Returns its accessor."""
        accessor: dict[str, Any] = {"componentType": COMPONENT["float32"], "count": count, "type": "VEC3"}
        if len(rows):
            accessor["sparse"] = {
                "count": len(rows),
                "indices": {
                    "bufferView": self._view(rows.astype(np.uint32), None),
                    "componentType": COMPONENT["uint32"],
                },
                "values": {"bufferView": self._view(values.astype(np.float32), None)},
            }
        rest = np.zeros((int(len(rows) < count), 3))
        return self._listed(accessor, np.concatenate([rest, values.astype(np.float32)]))

    def _listed(self, accessor: dict[str, Any], bounded: np.ndarray | None) -> int:
        if bounded is not None:
            flat = bounded.reshape(len(bounded), -1)
            accessor["min"], accessor["max"] = flat.min(0).tolist(), flat.max(0).tolist()
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def _view(self, array: np.ndarray, target: int | None) -> int:
        contents = np.ascontiguousarray(array).tobytes()
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(contents)}
        if target is not None:
            view["target"] = target
        self.data += contents + b"\0" * (-len(contents) % ALIGNMENT)
        self.views.append(view)
        return len(self.views) - 1


def read_document(path: Path) -> dict[str, Any]:
    """The JSON of a .glb file. Raises ValueError for another kind of file."""
    with Path(path).open("rb") as file:
        head = file.read(20)
        if len(head) < 20 or head[:4] != b"glTF" or head[16:] != b"JSON":
            raise ValueError(f"{path} is not a GLB file")
        document = parse_json(file.read(struct.unpack("<I", head[12:16])[0]).decode())
    if not isinstance(document, dict):
        raise ValueError(f"{path} is not a GLB file")
    return document


def write_glb(path: Path, document: dict[str, Any], buffer: Buffer) -> None:
    """Write the buffer and the document, which gets its buffers, views and accessors here, as one file, atomically."""
    whole = {
        **document,
        "buffers": [{"byteLength": len(buffer.data)}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    }
    text = json.dumps(whole, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with atomic_path(path) as part, part.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(buffer.data)))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(buffer.data), b"BIN\0"))
        file.write(buffer.data)
