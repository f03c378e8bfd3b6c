"""Reading .npz archives: arrays that are often all zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.npz import CHUNK, opened_npz, write_npz


def test_zero_arrays_need_no_memory(tmp_path: Path) -> None:
    """An all-zero array named in often_zero keeps shape, type and values, and stores one number."""
    write_npz(tmp_path / "a.npz", {"zeros": np.zeros((600, 3, 486), np.float32), "ones": np.ones(3)})
    with opened_npz(tmp_path / "a.npz") as archive:
        found = archive.read(("zeros", "ones", "absent"), often_zero=("zeros", "ones", "absent"))
    assert found.keys() == {"zeros", "ones"}
    assert (found["zeros"].shape, found["zeros"].dtype) == ((600, 3, 486), np.float32)
    assert not found["zeros"].any()
    assert set(found["zeros"].strides) == {0}
    np.testing.assert_array_equal(found["ones"], np.ones(3))


@pytest.mark.parametrize("place", [0, CHUNK // 4 - 32, CHUNK // 4, 700_000])
def test_one_nonzero_number_is_kept(tmp_path: Path, place: int) -> None:
    """The only nonzero number of an array is read at any position, also at the border of a chunk."""
    array = np.zeros(700_001, np.float32)
    array[place] = 1e-30
    write_npz(tmp_path / "a.npz", {"array": array})
    with opened_npz(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(archive.read(("array",), often_zero=("array",))["array"], array)
