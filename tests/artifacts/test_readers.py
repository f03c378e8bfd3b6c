"""One reader per container: whatever a damaged file makes a library raise is one InputError that names the file."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages.artifacts.atomic import atomic_path
from stages.artifacts.records import record_of
from stages.artifacts.regular_file import require_regular_file
from stages.artifacts.safetensors_file import load_tensors, opened_safetensors, read_header, save_tensors
from stages.artifacts.text_files import MAX_DEPTH, parse_json, parse_toml, read_json, read_json_object, read_toml
from stages.artifacts.torch_file import load_torch
from stages.errors import InputError
from tests.command_line import refused


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1,]", "nul", "[" * 100_000, '{"a":' * 100_000, "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "1" * 10_000, str(10**60), '"\\ud800"', '{"\\ud800": 1}', '[[{"a": "\\udfff"}]]',
    ],
)  # fmt: skip
def test_json_beyond_its_bounds_is_refused(tmp_path: Path, text: str) -> None:
    """Other text, depth, integers that no float holds, halves of characters: one line with the file and the advice."""
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json is damaged or not JSON .*; make it again"):
        read_json(path, "make it again")


def test_ordinary_json_is_read(tmp_path: Path) -> None:
    """Nesting within the bound, large integers, and text outside ASCII, also as surrogate pairs."""
    value: Any = {"a": [1, 2.5, 10**30, None, "é", "😀"], "b": {"c": {}}}
    assert parse_json(json.dumps(value)) == value
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse_json(deep) == json.loads(deep)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(InputError, match="no JSON object"):
        read_json_object(tmp_path / "a.json", "make it again")


@pytest.mark.parametrize("text", ["a", "x = " + "[" * 100_000, "x = " + "9" * 5000, f"x = {10**60}", 'a = "\\ud800"'])
def test_toml_beyond_its_bounds_is_refused(tmp_path: Path, text: str) -> None:
    """The same for TOML."""
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError, match=r"a\.toml is not valid TOML"):
        read_toml(tmp_path / "a.toml", "write it again")
    with pytest.raises(ValueError, match=r"line 1|end of document|nested|too large|digits"):
        parse_toml(text)


def test_bytes_that_are_no_text_and_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no UTF-8, or larger than any text file of emosh, is refused before it is parsed."""
    path = tmp_path / "a.json"
    path.write_bytes(b"[\xff]")
    with pytest.raises(InputError, match="no UTF-8 at byte 1"):
        read_json(path, "make it again")
    monkeypatch.setattr("stages.artifacts.text_files.MAX_BYTES", 2)
    with pytest.raises(InputError, match="more than a text file"):
        read_json(path, "make it again")


# ---- what is no file
def test_devices_pipes_and_sockets_are_no_files(tmp_path: Path) -> None:
    """They, links to them, folders and nothing at all are named as what they are."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        for name, kind in (("pipe", "a pipe"), ("link", "a device"), ("socket", "a socket"), (".", "a folder")):
            with pytest.raises(InputError, match=f"is {kind}, not a file; give one"):
                require_regular_file(tmp_path / name, "give one")
    for name in ("absent", "loop", "x" * 300):
        with pytest.raises(InputError, match=r"absent does not exist|cannot be read"):
            require_regular_file(tmp_path / name, "give one")


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "{}.npz"], ["inspect", "{}.json"], ["inspect", "{}.safetensors"], ["inspect", "{}.mp4"],
        ["track", "{}.mp4", "-o", "out.npz"], ["export", "{}.npz", "-o", "out.bvh"],
        ["config", "show", "--config", "{}.toml"], ["evaluate", "--table", "{}.toml", "-o", "out.json"],
        ["evaluate", "{}.mp4", "--truth", "{}.mp4", "-o", "o.json"], ["encode", "--manifest", "{}.jsonl", "-o", "o"],
        ["animate", "--ref", "{}.png", "--drive", "{}.mp4", "-o", "out.mp4"],
        ["models", "add", "flame", "{}.pkl"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_commands_refuse_them_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], kind: str
) -> None:
    """A named pipe, which would wait for a writer, and /dev/zero, which never ends, where a file is needed."""
    monkeypatch.chdir(tmp_path)
    for suffix in ("npz", "json", "safetensors", "mp4", "toml", "png", "jsonl", "pkl"):
        if kind == "pipe":
            os.mkfifo(f"a.{suffix}")
        else:
            Path(f"a.{suffix}").symlink_to("/dev/zero")
    assert f"is a {kind}" in refused(*(word.replace("{}", "a") for word in words))


# ---- safetensors
def header_bytes(header: Any, body: bytes = bytes(8)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"", struct.pack("<Q", 2**63), struct.pack("<Q", 3) + b"[[[", header_bytes([]), header_bytes(5),
        header_bytes({"__metadata__": {"a": 5}, "x": ENTRY}), header_bytes({"__metadata__": 5, "x": ENTRY}),
        *(header_bytes({"x": {**ENTRY, **change}}) for change in (
            {"dtype": "X"}, {"dtype": None}, {"dtype": []}, {"shape": None}, {"shape": [-2]}, {"shape": [2**40]},
            {"shape": ["2"]}, {"shape": [2.0]}, {"shape": [1] * 64 + [2]}, {"data_offsets": [0]},
            {"data_offsets": [4, 12]}, {"data_offsets": [8, 0]}, {"data_offsets": ["0", "8"]}, {"data_offsets": None},
        )),
        header_bytes({"x": ENTRY, "y": ENTRY}), header_bytes({"x": 5}), header_bytes({}),
    ],
)  # fmt: skip
def test_a_safetensors_header_that_lies_is_refused(tmp_path: Path, data: bytes) -> None:
    """Lengths, types, shapes and places are checked before the library sees the file."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    for read in (read_header, load_tensors):
        with pytest.raises(InputError, match=r"a\.safetensors .*; make it again"):
            read(path, "make it again")


def test_a_whole_safetensors_file_is_read(tmp_path: Path) -> None:
    """Header, metadata, one tensor and all tensors; none at all is valid too."""
    from safetensors.numpy import save_file

    path = tmp_path / "a.safetensors"
    save_file({"b": np.ones((2, 3), np.float16), "a": np.zeros(0, np.int64)}, path, {"k": "v"})
    tensors, metadata = read_header(path, "")
    assert (tensors["b"].shape, tensors["b"].dtype, metadata) == ((2, 3), "F16", {"k": "v"})
    with opened_safetensors(path, "", "numpy") as file:
        assert file.get_tensor("b").sum() == 6
    assert load_tensors(path, "")["a"].shape == (0,)
    save_file({}, path)
    assert read_header(path, "") == ({}, {})


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    """Metadata is written in one order, whatever order it came in and whatever the library does."""
    tensors = {"b": torch.ones(3), "a": torch.zeros(2, 2)}
    fields = {f"key{number}": f'é"\\ {number}' for number in range(20)}
    written = set()
    for number in range(5):
        path = tmp_path / f"{number}.safetensors"
        save_tensors(path, tensors, dict(sorted(fields.items(), key=lambda item: hash((item[0], number)))))
        written.add(path.read_bytes())
        assert read_header(path, "")[1] == fields
        assert load_tensors(path, "")["b"].tolist() == [1, 1, 1]
    assert len(written) == 1


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library says of a full disk becomes an OSError, which atomic writes explain in one line."""
    from safetensors import SafetensorError

    def full(*words: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(InputError, match="the disk is full"), atomic_path(tmp_path / "a.safetensors") as part:
        save_tensors(part, {"a": torch.zeros(3)}, {"k": "v"})
    assert not list(tmp_path.iterdir())


# ---- torch
def test_a_damaged_torch_file_is_one_line(tmp_path: Path) -> None:
    """Every cut of a .pt, and every file with one byte changed, is read or is one InputError."""
    path = tmp_path / "a.pt"
    torch.save({"x": torch.arange(4)}, path)
    data = path.read_bytes()
    assert load_torch(path, "")["x"].tolist() == [0, 1, 2, 3]
    for at in range(0, len(data), 37):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]):
            path.write_bytes(damaged)
            with contextlib.suppress(InputError):
                load_torch(path, "copy it again")


# ---- records
def test_a_record_has_the_types_that_its_dataclass_states() -> None:
    """Lists become tuples and objects nested records; anything else than the stated type is a ValueError."""
    from stages.curate.records import VideoRecord, WindowPlace

    source = {"path": "a.mp4", "size": 3, "mtime_ns": 4, "sha256": "x"}
    window = {"first": 0, "frames": 5, "pts": None, "checksum": 7}
    values = {"name": "a", "source": source, "frames": 5, "windows": [window]}
    read = record_of(VideoRecord, values)
    assert read.windows == (WindowPlace(0, 5, None, 7),)
    assert read.source.size == 3
    for key, wrong in (("name", 5), ("source", []), ("windows", [[]]), ("short", [[1]]), ("frames", "5"), ("error", 1),
                       ("colour", 1), ("frames", True), ("windows", None)):  # fmt: skip
        with pytest.raises(ValueError, match=r"expected|not a known key"):
            record_of(VideoRecord, {**values, key: wrong})
    with pytest.raises(ValueError, match="missing"):
        record_of(VideoRecord, {"name": "a"})
    for key, wrong in (
        ("fps", "a\nb"), ("fps", "1/0"), ("fps", "1000"), ("fps", "-1"), ("width", -1), ("height", 2**20),
        ("frames", 4), ("short", [[5, 1]]), ("windows", [{**window, "frames": 0}]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"Fraction|is no rate|is no video|a window lies outside"):
            record_of(VideoRecord, {**values, key: wrong})
