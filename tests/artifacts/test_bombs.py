"""Small archives that would unpack to gigabytes: refused, or read around, without unpacking them."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.artifacts.motion import load_motion, save_motion
from stages.artifacts.npz import opened_npz, read_npz, write_npz
from stages.body.model import Body, load_body
from stages.detect.keypoint_file import read_keypoints
from stages.errors import InputError
from stages.priors.readers import read_prior
from tests.command_line import emosh, refused
from tests.motions import standing

UNPACKED = 300_000_000
MOST_BYTES, MOST_SECONDS = 30_000_000, 1.0


def npy_header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    """An array's beginning."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


def add_zeros(path: Path, name: str, shape: tuple[int, ...], descr: str = "<f4", mode: Any = "a") -> Path:
    """Add an array of zeros, packed a thousandfold, without ever holding it."""
    left = int(np.prod(shape)) * np.dtype(descr).itemsize
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type, info._compresslevel = zipfile.ZIP_DEFLATED, 1  # type: ignore[attr-defined]
    with zipfile.ZipFile(path, mode) as archive, archive.open(info, "w", force_zip64=True) as file:
        file.write(npy_header(shape, descr))
        while left:
            left -= file.write(bytes(min(left, 1 << 20)))
    return path


@contextmanager
def cheaply() -> Iterator[None]:
    """The block takes under a second of the processor and 30 MB. What is imported first should be there already."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES, f"{peak / 1e6:.0f} MB"
    assert took < MOST_SECONDS, f"{took:.2f} s"


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 MB from 1.3 MB in one array of a name that nobody asks for."""
    path = add_zeros(tmp_path_factory.mktemp("bomb") / "bomb.npz", "unknown", (UNPACKED // 4,), mode="w")
    assert path.stat().st_size < UNPACKED / 200
    return path


@pytest.fixture
def motion(tmp_path: Path, body: Body) -> Path:
    """A good motion."""
    save_motion(tmp_path / "motion.npz", standing(body, 6, seed=1))
    return tmp_path / "motion.npz"


def test_a_foreign_archive_costs_nothing(bomb: Path, tmp_path: Path) -> None:
    """`inspect` shows its arrays by their headers; every command that takes a motion refuses it by its kind."""
    emosh("inspect", bomb)
    with cheaply():
        said = emosh("inspect", bomb)
    assert said.code == 0
    assert "75000000" in said.out
    for words in (("render-cond", bomb), ("retarget", bomb, "--ref", bomb), ("export", bomb, "-o", tmp_path / "a.glb")):
        refused(*words, "--force")
        with cheaply():
            assert "emosh did not write" in refused(*words, "--force")
    with cheaply(), pytest.raises(InputError, match="would unpack to 300 MB from"):
        read_npz(bomb)


def test_what_nobody_asks_for_is_not_unpacked(motion: Path) -> None:
    """A good motion with a bomb beside its arrays is read as the good motion that it is."""
    before = load_motion(motion)
    add_zeros(motion, "unknown", (UNPACKED // 4,))
    with cheaply():
        after = load_motion(motion)
    np.testing.assert_array_equal(before.poses, after.poses)
    with cheaply():
        assert emosh("inspect", motion).code == 0


def test_a_table_bounds_what_is_unpacked(motion: Path) -> None:
    """A motion whose one array is longer than the others is refused by its shape, one whose every array is long by its
    size, one whose provenance is a bomb by having none."""
    arrays = read_npz(motion)
    long = UNPACKED // 12
    write_npz(motion, {name: array for name, array in arrays.items() if name != "trans"})
    add_zeros(motion, "trans", (long, 3))
    with cheaply(), pytest.raises(InputError, match="frames is 25000000"):
        load_motion(motion)
    write_npz(motion, {name: array for name, array in arrays.items() if array.shape[:1] != (6,)})
    for name, array in arrays.items():
        if array.shape[:1] == (6,):
            add_zeros(motion, name, (60_000, *array.shape[1:]), array.dtype.str)
    with cheaply(), pytest.raises(InputError, match="would unpack to"):
        load_motion(motion)
    write_npz(motion, {name: array for name, array in arrays.items() if name != "emosh_provenance"})
    add_zeros(motion, "emosh_provenance", (), f"<U{UNPACKED // 4}")
    with cheaply(), pytest.raises(InputError, match="would unpack to"):
        load_motion(motion)


def test_whose_file_it_is(motion: Path, bomb: Path, tmp_path: Path) -> None:
    """Whether an output may be overwritten is told without unpacking it."""
    (tmp_path / "out.npz").write_bytes(bomb.read_bytes())
    with cheaply():
        assert "emosh did not write it" in refused("retarget", motion, "--ref", motion, "-o", tmp_path / "out.npz")
    add_zeros(tmp_path / "out.npz", "emosh_provenance", (), f"<U{UNPACKED // 4}")
    with cheaply():
        assert "emosh did not write it" in refused("retarget", motion, "--ref", motion, "-o", tmp_path / "out.npz")


def test_keypoints_priors_and_bodies(bomb: Path, body: Body, tmp_path: Path) -> None:
    """Other readers refuse a bomb, or never look at it."""
    with cheaply(), pytest.raises(InputError, match="it has unknown"):
        read_keypoints(bomb)
    path = add_zeros(tmp_path / "k.npz", "keypoints", (UNPACKED // 4 // 399, 133, 3), mode="w")
    with cheaply(), pytest.raises(InputError, match="would unpack to"):
        read_keypoints(path)
    with cheaply(), pytest.raises(InputError, match="would unpack to"):
        read_prior(bomb)
    with cheaply(), pytest.raises(InputError, match="'v_template' is missing"):
        load_body(bomb)


def test_licensed_files(bomb: Path, tmp_path: Path) -> None:
    """A licensed model's file is read for the arrays of its own table."""
    refused("models", "add", "smplx", bomb)
    with cheaply():
        assert "missing" in refused("models", "add", "smplx", bomb)
    huge = tmp_path / "ids.npy"
    huge.write_bytes(npy_header((1 << 40,), "<i8") + bytes(64))
    with cheaply():
        assert "is not a .npy file of numbers" in refused("models", "add", "flame-ids", huge)


def test_torch_files(tmp_path: Path) -> None:
    """A .pt that is packed, and one whose few numbers are shown a million times, are refused."""
    import torch

    stored = io.BytesIO()
    torch.save({"smpl_params_incam": {"global_orient": torch.zeros(3_000_000, 3), "body_pose": torch.zeros(9)}}, stored)
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(stored) as good, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for member in good.infolist():
            packed.writestr(member.filename, good.read(member))
    with cheaply(), pytest.raises(InputError, match="compressed in a way"):
        read_prior(path)
    shown_often = torch.zeros(1, 3, dtype=torch.half).expand(30_000_000, 3)
    torch.save({"smpl_params_incam": {"global_orient": shown_often}}, path)
    assert path.stat().st_size < 10_000
    with cheaply(), pytest.raises(InputError, match="would unpack to 360 MB"):
        read_prior(path)


# ---- directories that lie
def rewritten(path: Path, field: int, value: int, size: int) -> Path:
    """Change a field of the last member's entry in the directory, and in its own header."""
    data = bytearray(path.read_bytes())
    for signature, shift in ((b"PK\x01\x02", 2), (b"PK\x03\x04", 0)):
        at = data.rfind(signature)
        data[at + field + shift : at + field + shift + size] = value.to_bytes(size, "little")
    path.write_bytes(data)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One small array, stored as it is."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy_header((4,)) + bytes(16))
    return tmp_path / "a.npz"


@pytest.mark.parametrize(
    ("field", "value", "size", "said"),
    [(6, 1, 2, "encrypted"), (8, 12, 2, "compressed in a way"), (8, 97, 2, "compressed in a way"),
     (22, 10**9, 4, "another size"), (18, 3, 4, "another size")],
)  # fmt: skip
def test_a_directory_that_lies(small: Path, field: int, value: int, size: int, said: str) -> None:
    """Encryption, packings that numpy does not write, and sizes that cannot be are refused by the member's name."""
    with pytest.raises(InputError, match=said):
        read_npz(rewritten(small, field, value, size))
    assert emosh("inspect", small).code == 2


def test_two_members_of_one_name(small: Path) -> None:
    """Which of the two is read would be anybody's guess."""
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(small, "a") as archive:
        archive.writestr("x.npy", npy_header((4,)) + bytes(16))
    with pytest.raises(InputError, match="two members called 'x'"):
        read_npz(small)


@pytest.mark.parametrize(
    "raw",
    [npy_header((5,)) + bytes(16), npy_header((3,)) + bytes(16), npy_header((1 << 62, 4)) + bytes(16),
     npy_header((1 << 50,), "|V0"), b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000,
     b"\x93NUMPY\x09\x00" + bytes(60), b"\x93NUMPY\x01\x00\xff\xff", b"\x93NUMPY",
     npy_header((4,)).replace(b"(4,)", b"(-4,)") + bytes(16)],
)  # fmt: skip
def test_a_header_that_lies(tmp_path: Path, raw: bytes) -> None:
    """An array that is longer or shorter than it says, of impossible shape, or without a whole header is refused."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", raw)
    with (
        cheaply(),
        pytest.raises(InputError, match=r"array 'x' (is not as long|has a damaged header)|a\.npz is damaged"),
    ):
        read_npz(tmp_path / "a.npz")


def test_a_member_that_is_no_array(small: Path) -> None:
    """A text in an archive is left alone and counted."""
    with zipfile.ZipFile(small, "a") as archive:
        archive.writestr("readme.txt", "words")
    with opened_npz(small) as archive:
        assert (list(archive.headers), archive.strange) == (["x"], ["readme.txt"])


def test_objects_are_never_unpickled_by_anyone(body: Body, tmp_path: Path) -> None:
    """A body file with a pickled array beside its own is refused, since the smplx package would unpickle it."""
    from stages.body.model import BODY

    arrays = read_npz(body.path, [row.name for row in BODY.fields if row.name not in ("shapedirs", "posedirs")])
    np.savez(tmp_path / "body.npz", **arrays, evil=np.array([print], object))
    with pytest.raises(InputError, match="'evil' holds pickled objects; emosh never unpickles"):
        load_body(tmp_path / "body.npz")
