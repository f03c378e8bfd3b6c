"""Damages files. A mutation takes a file's bytes and a random generator, and returns damaged bytes and what was done.

Half of the damage knows nothing of the format: bits, cuts, insertions. The rest keeps the container whole and changes
what lies in it: types, shapes, numbers, keys, sizes in headers. The same generator gives the same damage.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

Mutation = Callable[[bytes, Random], tuple[bytes, str]]
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 27)
"""Integers at which sizes overflow."""
MARKER = "A-PICKLE-RAN"
"""File that a pickle writes into the working folder if anything loads it."""


# ---- any bytes
def damaged_bytes(data: bytes, random: Random) -> tuple[bytes, str]:
    """Flipped bits, cuts, insertions, repeats and integers at which sizes overflow."""
    out, length = bytearray(data), len(data)
    if not length:
        return b"\0", "filled"
    at = random.randrange(length) if random.random() < 0.5 else min(length - 1, int(length ** random.random()))
    size = random.choice((1, 4, 100, 5000))
    kind = random.choice(
        ("flip", "flips", "cut", "head", "insert", "delete", "zero", "repeat", "integer", "integer", "append", "splice")
    )
    if kind == "flip":
        out[at] ^= 1 << random.randrange(8)
    elif kind == "flips":
        for _ in range(random.choice((4, 32, 256))):
            out[random.randrange(length)] ^= 1 << random.randrange(8)
    elif kind == "cut":
        del out[at:]
    elif kind == "head":
        del out[:at]
    elif kind == "insert":
        out[at:at] = random.randbytes(size)
    elif kind == "delete":
        del out[at : at + size]
    elif kind == "zero":
        out[at : at + size] = bytes(len(out[at : at + size]))
    elif kind == "repeat":
        out[at:at] = out[at : at + size]
    elif kind == "integer":
        width, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
        value = random.choice(INTERESTING) & (2 ** (8 * width) - 1)
        out[at : at + width] = value.to_bytes(width, order)
    elif kind == "append":
        out += random.randbytes(size)
    elif kind == "splice":
        source = random.randrange(length)
        out[at : at + size] = out[source : source + size]
    return bytes(out), f"{kind} at {at}"


# ---- npz
def damaged_npz(data: bytes, random: Random) -> tuple[bytes, str]:
    """Arrays of other types, shapes and values; members missing, renamed, twice, encrypted; bytes."""
    kind = random.choice(
        ("array",) * 9 + ("value",) * 3 + ("text",) * 3 + ("bytes",) * 4
        + ("missing", "rename", "twice", "swap", "case", "packing", "header", "no array")
    )  # fmt: skip
    if kind == "bytes":
        return damaged_bytes(data, random)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(each.filename, archive.read(each)) for each in archive.infolist()]
    place = random.randrange(len(members))
    name, raw = members[place]
    packing = zipfile.ZIP_DEFLATED
    if kind == "array":
        raw, what = _other_array(np.lib.format.read_array(io.BytesIO(raw)), random)
        members[place], kind = (name, raw), f"{name}: {what}"
    elif kind == "value":
        raw, what = _other_value(np.lib.format.read_array(io.BytesIO(raw)), random)
        members[place], kind = (name, raw), f"{name}: {what}"
    elif kind == "text":
        text = random.choice(RECORDS)
        members = [(each, _npy(np.array(text)) if "provenance" in each else raw) for each, raw in members]
        kind = f"record {text[:40]!r}"
    elif kind == "missing":
        del members[place]
    elif kind == "rename":
        members[place] = (random.choice(("../../x.npy", "/nowhere/x.npy", "a\0b.npy", "\u202e.npy", "x" * 5000)), raw)
    elif kind == "twice":
        members.append((name, _npy(np.zeros(3))))
    elif kind == "swap":
        other = random.randrange(len(members))
        members[place], members[other] = (name, members[other][1]), (members[other][0], raw)
    elif kind == "case":
        members = [(each.swapcase(), raw) for each, raw in members]
    elif kind == "packing":
        packing = random.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    elif kind == "no array":
        members[place] = (name, random.choice((b"", b"x", b"\x93NUMPY", b"\x93NUMPY\x01\0\xff\xff", _pickle())))
    out = _zipped(members, packing)
    if kind == "header":
        out, kind = _other_zip_header(out, random)
    return out, kind


def _other_zip_header(data: bytes, random: Random) -> tuple[bytes, str]:
    """A member's flags, method, checksum or size changed, in its own and in the directory's header."""
    offset, value = random.choice(
        ((6, 1), (6, 0x800), (8, 97), (8, 12), (8, 99), (14, 7), (18, 0xFFFFFFFF), (22, 0xFFFFFFFF), (22, 3))
    )
    size, out = 2 if offset < 14 else 4, bytearray(data)
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        at = out.find(signature) + offset + shift
        out[at : at + size] = value.to_bytes(size, "little")
    return bytes(out), f"zip header {offset} = {value}"


def _npy(array: np.ndarray, objects: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=objects)
    return buffer.getvalue()


def _raw_npy(header: str, body: bytes = bytes(64), version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text)) + text + body


def _zipped(members: list[tuple[str, bytes]], packing: int) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name
        with zipfile.ZipFile(buffer, "w", packing) as archive:
            for name, data in members:
                archive.writestr(zipfile.ZipInfo(name), data, packing)
    return buffer.getvalue()


class _Marker:
    def __reduce__(self) -> Any:
        return os.system, (f"touch {MARKER}",)


def _pickle() -> bytes:
    return pickle.dumps(_Marker())


HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" + " " * 60000,
    *("{'descr': '<f4', 'fortran_order': False, 'shape': (N,)}".replace("N", str(10**power)) for power in (9, 12, 30)),
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3), }",
    "{'descr': __import__('os').system('touch " + MARKER + "'), 'fortran_order': False, 'shape': (1,), }",
    "{'descr': 'V2147483647', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': [('a', '<f4', (3000000000,))], 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
    "(" * 9000, "[" * 200, "'\\", "\0\0\0",
)  # fmt: skip


def _other_array(array: np.ndarray, random: Random) -> tuple[bytes, str]:
    """The array with another type, shape or content, or with a header that lies."""
    array = np.array(array)
    changes: dict[str, Callable[[], np.ndarray]] = {
        **{text: lambda text=text: _one_value(array, float(text), random) for text in ("nan", "inf", "-inf")},
        "huge": lambda: np.full(array.shape, random.choice((1e30, 1e300, -1e30, 1e9))),
        "negative": lambda: -np.abs(array.astype(float)),
        "zero": lambda: np.zeros_like(array),
        "largest": lambda: np.full(array.shape, np.finfo(np.float32).max, np.float32),
        **{kind: lambda kind=kind: array.astype(kind) for kind in ("f2", "i1", "u8", "?", "S", "c16")},
        "text": lambda: np.full(array.shape, random.choice(("", "a\x1b[31mb", "../../etc", "\u202egnp", "1" * 500))),
        "date": lambda: np.zeros(array.shape, "M8[s]"),
        "structured": lambda: np.zeros(array.shape, [("x", "f4"), ("y", "i4")]),
        "empty": lambda: array[:0] if array.ndim else np.zeros(0),
        "one value": lambda: array.reshape(-1)[0] if array.size else np.array(0),
        "one axis more": lambda: array[None],
        "one column less": lambda: array[..., :-1],
        "twice as long": lambda: np.concatenate([array, array]),
        "transposed": lambda: array.T,
        "big-endian": lambda: array.astype(array.dtype.newbyteorder(">")),
        "column by column": lambda: np.asfortranarray(array),
        "nul in text": lambda: np.array("a\0b\nc"),
    }
    kind = random.choice((*changes, "objects", "header", "header", "cut", "version"))
    if kind == "objects":
        return _npy(np.array([_Marker()], object), True), kind
    if kind == "header":
        header = random.choice(HEADERS)
        return _raw_npy(header), f"header {header[:40]}"
    if kind == "cut":
        return _npy(array)[: random.randrange(20, 200)], kind
    if kind == "version":
        return _raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (16,), }", version=(9, 0)), kind
    try:
        return _npy(changes[kind]()), kind
    except (ValueError, TypeError, OverflowError, UnicodeError, IndexError):
        return _npy(np.zeros(3)), f"{kind}, as three zeros"


def _one_value(array: np.ndarray, value: float, random: Random) -> np.ndarray:
    changed = array.astype(float)
    changed.reshape(-1)[random.randrange(max(1, changed.size))] = value
    return changed


def _other_value(array: np.ndarray, random: Random) -> tuple[bytes, str]:
    """One number of the array changed, its type kept."""
    if array.dtype.kind not in "fiu" or not array.size:
        text = random.choice(("", "x" * 9999, "open", "a\x1b]0;b\x07"))
        return _npy(np.array(text)), f"text {text[:20]!r}"
    value, changed = random.choice((0, -1, 1, 2, 1e9, 2**31 - 1, -(2**31), 2**62, 1e-30, 1e38, 0.5)), array.copy()
    with np.errstate(all="ignore"):
        changed.reshape(-1)[random.randrange(changed.size)] = np.array(value).astype(changed.dtype)
    return _npy(changed), f"one value {value}"


# ---- JSON and TOML
DEEP = "[" * 100_000
RECORDS = (
    "", "null", "[]", "{}", "5", '{"stage": 5}', '{"stage": []}', '{"stage": "track", "config": []}',
    '{"stage": "track", "notes": null}', '{"stage": "retarget", "notes": {"source": 5, "report": 7}}', DEEP,
    '{"stage": "track", "notes": {"source": "\\u0000"}}', '{"stage": "track", "notes": {"source": "/dev/zero"}}',
    '{"stage": "track", "inputs": {"video": 5}, "seed": "x"}', '{"stage": "track", "version": NaN}',
    '{"stage": "\\ud800"}', '{"stage": 1' + "0" * 5000 + "}", '{"stage": "retarget", "config": {"disentangle": []}}',
)  # fmt: skip
"""Texts where a provenance record is expected."""
VALUES = (
    None, True, False, 0, -1, 1, 2**31, -(2**63), 2**64, 10**400, 1e308, math.nan, math.inf, -math.inf, 0.5, "", " ",
    "x" * 20000, "\0", "\ud800", "../../../../etc/passwd", "/dev/zero", "/etc/passwd", "concat:a.mp4|b.mp4", "a\nb",
    "\x1b[31m", "<img src=x onerror=alert(1)>", "0/0", "1/0", "-5", "1e400", [], [[]], {}, {"a": {}}, [None], ["x"],
    [1, 2, 3], "%s%n{0}",
)  # fmt: skip
WHOLE = (DEEP, '{"a":' * 100_000, "1" * 10_000, "null", "NaN", '"\\ud800"', "[]", "", " ")


def damaged_json(data: bytes, random: Random) -> tuple[bytes, str]:
    """Values of other types, missing and renamed keys, depth, size; bytes."""
    chance = random.random()
    if chance < 0.3:
        return damaged_bytes(data, random)
    if chance < 0.36:
        return random.choice((*map(str.encode, WHOLE), b"\xff\xfe", b"\xef\xbb\xbf" + data)), "the whole file"
    value, what = _other_json(json.loads(data), random)
    return _json_bytes(value), what


def damaged_lines(data: bytes, random: Random) -> tuple[bytes, str]:
    """JSON lines: one of them damaged, or one repeated."""
    if random.random() < 0.2:
        return damaged_bytes(data, random)
    lines = data.splitlines()
    place = random.randrange(len(lines))
    lines[place], what = damaged_json(lines[place], random)
    return b"\n".join([*lines, *lines[: random.randrange(2)]]) + b"\n", f"line {place}: {what}"


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def _other_json(value: Any, random: Random) -> tuple[Any, str]:
    """One to three entries set to an unexpected value, deleted, renamed or wrapped in a list."""
    value, what = json.loads(json.dumps(value)), "nothing"
    for _ in range(random.choice((1, 1, 1, 3))):
        path = random.choice(list(_paths(value)))
        if not path:
            continue
        here = value
        for step in path[:-1]:
            here = here[step]
        kind, key = random.choice(("set", "set", "set", "delete", "rename", "wrap")), path[-1]
        what = f"{kind} {'.'.join(map(str, path))}"
        if kind == "delete":
            del here[key]
        elif kind == "rename" and isinstance(here, dict):
            here[random.choice(("", "x", "\ud800", str(key).upper()))] = here.pop(key)
        elif kind == "wrap":
            here[key] = [here[key]]
        else:
            here[key] = random.choice(VALUES)
    return value, what


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key in value if isinstance(value, dict) else range(min(len(value), 40)) if isinstance(value, list) else ():
        yield from _paths(value[key], (*path, key))


LINES = (
    "x", "[a.b.c]", "[[sets]]", "a = 1", "sets = 5", "methods = []", "[options]\nclip = '('", "options = 3", "\0",
    "[options]\nclip = '(a+)+$'", "['']", 'a = "\\ud800"', "[methods.'../x']", "x = " + DEEP[:3000], "x = " + DEEP,
    "[published]\na = 5", "[published.a]\nb = {c = nan}",
)  # fmt: skip
SETTINGS = (
    "0", "-1", "1", "nan", "inf", "-inf", "1e400", "2147483648", "9223372036854775807", "9" * 5000, "true", "''",
    "'x'", "[]", "{}", "[1]", "[[1]]", "{a=1}", "1979-05-27", "'../../..'", "'/dev/zero'", "'/'", '"\\u0000"', "0.5",
    "1e9", "'none'", "'<b>'",
)  # fmt: skip


def damaged_toml(data: bytes, random: Random) -> tuple[bytes, str]:
    """Settings with other values, odd lines; bytes."""
    lines = data.decode().splitlines()
    keys = [place for place, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    chance = random.random()
    if chance < 0.25 or not keys:
        return damaged_bytes(data, random)
    if chance < 0.4:
        line = random.choice(LINES)
        lines.insert(random.randrange(len(lines) + 1), line)
    else:
        place = random.choice(keys)
        lines[place] = line = f"{lines[place].split('=')[0]}= {random.choice(SETTINGS)}"
    return "\n".join(lines).encode(), line[:60]


# ---- safetensors
def damaged_safetensors(data: bytes, random: Random) -> tuple[bytes, str]:
    """Headers that lie about length, offsets, shapes and types; other metadata; values that are not finite; bytes."""
    chance = random.random()
    if chance < 0.35:
        return damaged_bytes(data, random)
    if chance < 0.42:
        length = random.choice((0, 1, 2**20, 2**31, 2**63, 2**64 - 1, 100_000_001))
        return struct.pack("<Q", length) + data[8:], f"header of {length} bytes"
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    name = random.choice([each for each in header if each != "__metadata__"])
    kind = random.choice(("json", "json", "metadata", "metadata", "offsets", "shape", "dtype", "drop", "nan", "whole"))
    entry, size = header[name], len(body)
    if kind == "json":
        header, kind = _other_json(header, random)
    elif kind == "metadata":
        metadata = header.setdefault("__metadata__", {})
        key = random.choice(list(metadata) or ["x"])
        odd = ("0", "-1", "nan", "1e9", "1/0", "0/1", "2147483648", "\x1b[2J", "x" * 5000)
        metadata[key], kind = random.choice((*RECORDS, *odd)), f"metadata {key}"
    elif kind == "offsets":
        odd_offsets = ([0, 0], [-1, 5], [0, 2**40], [5, 1], [0], [], None, [0, size + 1], ["0", "4"])
        entry["data_offsets"] = random.choice(odd_offsets)
    elif kind == "shape":
        shape = entry["shape"]
        odd_shapes = ([], [0], [-1], [2**40], [2**62, 4], [1] * 70, None, ["1"], [1.5], shape[::-1], [*shape, 1])
        entry["shape"] = random.choice(odd_shapes)
    elif kind == "dtype":
        entry["dtype"] = random.choice(("F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "X", "", None, 5))
    elif kind == "drop":
        del header[name]
    elif kind == "nan":
        begin = entry["data_offsets"][0]
        body[begin : begin + 4] = struct.pack("<f", math.nan)
    elif kind == "whole":
        header = random.choice(([], "x", 5, None, {"__metadata__": 5}, {"__metadata__": {"emosh_kind": "latents"}}, {}))
    text = _json_bytes(header)
    return struct.pack("<Q", len(text)) + text + bytes(body), f"{kind} of {name}"


# ---- mp4
BOXES = (
    b"mvhd", b"tkhd", b"mdhd", b"stsd", b"stts", b"stsz", b"stsc", b"stco", b"elst", b"avc1", b"avcC", b"ctts",
    b"hdlr", b"udta", b"meta", b"ilst", b"stss", b"dref", b"mp4a", b"esds",
)  # fmt: skip


def damaged_mp4(data: bytes, random: Random) -> tuple[bytes, str]:
    """Numbers in the boxes that describe tracks; bytes."""
    begin = data.find(b"moov")
    if random.random() < 0.35 or begin < 0:
        return damaged_bytes(data, random)
    out, what = bytearray(data), []
    for _ in range(random.choice((1, 1, 2, 5))):
        box = random.choice(BOXES)
        at = out.find(box, begin)
        if at < 0:
            continue
        offset = random.choice((-4, 0, 4, 8, 12, 16, 20, 24, 28, 32, 4 * random.randrange(1, 25)))
        out[at + offset : at + offset + 4] = struct.pack(
            ">I", random.choice((*INTERESTING, random.getrandbits(32), 10**8))
        )
        what.append(f"{box.decode()}+{offset}")
    return (bytes(out), " ".join(what)) if what else damaged_bytes(data, random)


# ---- torch's own
def damaged_torch(data: bytes, random: Random) -> tuple[bytes, str]:
    """Members of the archive damaged or missing, pickles that would run something; bytes."""
    chance = random.random()
    if chance < 0.5:
        return damaged_bytes(data, random)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(each.filename, archive.read(each)) for each in archive.infolist()]
    place = random.randrange(len(members))
    name, raw = members[place]
    if chance < 0.8:
        raw, what = damaged_bytes(raw, random)
        members[place] = (name, raw)
        return _zipped(members, zipfile.ZIP_STORED), f"{name}: {what}"
    if chance < 0.87:
        del members[place]
        return _zipped(members, zipfile.ZIP_STORED), f"without {name}"
    if chance < 0.94:
        return random.choice((_pickle(), pickle.dumps([1]), b"", b"PK", b"\x80\x02}q\0.")), "another pickle"
    members = [(each, _pickle() if each.endswith("data.pkl") else raw) for each, raw in members]
    return _zipped(members, zipfile.ZIP_STORED), "a pickle inside"
