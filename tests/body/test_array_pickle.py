"""Reading arrays from pickles without unpickling."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from stages.body.array_pickle import read_pickled_arrays
from stages.errors import InputError


class RunsOnLoading:
    """An object whose pickle calls a function when it is loaded, as a malicious one does."""

    def __init__(self, call, *arguments) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        """Call it on loading."""
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_arrays_are_read_unchanged(tmp_path: Path, protocol: int) -> None:
    """C and Fortran order, both byte orders, integers, scalars and sparse matrices, in every binary protocol."""
    from scipy.sparse import random

    values = np.random.default_rng(0).normal(size=(4, 3))
    given = {
        "c": values, "fortran": np.asfortranarray(values), "big_endian": values.astype(">f4"),
        "whole": np.arange(6, dtype=np.uint32).reshape(2, 3), "number": np.float64(3.5),
    }  # fmt: skip
    sparse = {"csc": random(5, 5, 0.4, "csc", rng=0), "csr": random(5, 7, 0.4, "csr", rng=1)}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(given | sparse | {"words": "left out", "list": [1, 2]}, protocol))
    found = read_pickled_arrays(path)
    assert set(found) == set(given) | set(sparse)
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)
    for name, matrix in sparse.items():
        np.testing.assert_array_equal(found[name], matrix.toarray())


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call", [os.system, eval, exec, getattr])
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, protocol: int, call) -> None:
    """The error names the function that the pickle would call, and nothing has run."""
    proof = tmp_path / "it_ran"
    arguments = {"system": (f"touch {proof}",), "getattr": ("text", "upper")}
    runs = RunsOnLoading(call, *arguments.get(call.__name__, (f"open({str(proof)!r}, 'w')",)))
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"v_template": np.zeros(3) if protocol else 1, "f": runs}, protocol))
    with pytest.raises(InputError, match=rf"asks for [a-z_]*\.{call.__name__}, which is more than arrays"):
        read_pickled_arrays(path)
    assert not proof.exists()


def test_allowed_names_are_not_called(tmp_path: Path) -> None:
    """A class that may hold arrays is not called; setting the state of anything but an array is refused."""
    for written in (b"cchumpy.ch\nCh\n(tR.", b"cnumpy\nndarray\n(tR.", b"}}b.", b"cbuiltins\nobject\n)\x81."):
        path = tmp_path / "model.pkl"
        path.write_bytes(written)
        with pytest.raises(InputError, match="more than arrays"):
            read_pickled_arrays(path)


def test_objects_in_arrays_and_damage_are_refused(tmp_path: Path) -> None:
    """An array of objects, a cut file and a file of noise each give a one-line error."""
    path = tmp_path / "model.pkl"
    whole = pickle.dumps({"a": np.zeros(100)}, 2)
    for written in (pickle.dumps({"a": np.array([{}, []], dtype=object)}, 2), whole[:60], b"\x00noise", b""):
        path.write_bytes(written)
        with pytest.raises(InputError, match="damaged, or not a pickle"):
            read_pickled_arrays(path)
    path.write_bytes(pickle.dumps([np.zeros(3)], 2))
    with pytest.raises(InputError, match="does not hold a dict of arrays"):
        read_pickled_arrays(path)
