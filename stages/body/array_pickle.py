"""Read the arrays in a pickle without unpickling it.

Some licensed models are published only as pickles (FLAME's `generic_model.pkl`). A pickle is a program. This module
reads its instructions one by one (`pickletools.genops`) and follows only those that build plain values and numeric
arrays. Names of classes and functions are kept as text: nothing is imported and nothing is called. An instruction or a
name outside the lists below raises InputError, so a pickle that would run code is refused before anything runs.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.errors import InputError

NUMERIC = re.compile(r"[|<>=]?(?:[iu][1248]|f[248]|b1|\?)")
_MARK = object()
_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "BINSTRING",
    "SHORT_BINSTRING", "STRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_LIST": list, "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple, "EMPTY_SET": set, "MARK": lambda: _MARK,
}  # fmt: skip


@dataclass(frozen=True)
class _GlobalName:
    """The dotted name of a class or function in the pickle."""

    name: str


@dataclass
class _Record:
    """An array, a data type, or an object that holds arrays, while the pickle is read.

    `kind` is "array", "dtype" or "holder"; `value` is the array, the dtype, or the class name of the holder.
    """

    kind: str
    state: Any = None
    value: Any = None


_HOLDERS = re.compile(r"chumpy\.[\w.]+|scipy\.sparse\.[\w.]*cs[rc]_matrix")
"""Classes whose state is a dict of arrays: chumpy's (the array is `x`) and scipy's compressed sparse matrices."""
_INERT = {"numpy.ndarray", "__builtin__.object", "builtins.object", "__builtin__.str", "builtins.str"}
_CALLS = {
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.dtype",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "_codecs.encode", "copy_reg._reconstructor",
    "copyreg._reconstructor", "__builtin__.set", "builtins.set", "collections.OrderedDict",
    "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer",
}  # fmt: skip


def read_pickled_arrays(path: Path) -> dict[str, np.ndarray]:
    """The numeric arrays of a pickled dict, by name; chumpy objects and sparse matrices become plain arrays.

    Other entries are left out. Raises InputError for a file that is not such a pickle, and for a pickle that calls
    anything or names a class outside the lists.
    """
    try:
        found = _Reader(path).read(Path(path).read_bytes())
    except InputError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, AssertionError, OverflowError) as error:
        raise InputError(f"{path} is damaged, or not a pickle that emosh can read ({error}); {_CONVERT}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} does not hold a dict of arrays; {_CONVERT}")
    arrays = {str(name): _plain(value) for name, value in found.items()}
    return {name: value for name, value in arrays.items() if value is not None}


_CONVERT = (
    'if you trust the file, convert it to .npz on a machine with its software: python -c "import pickle, numpy as np; '
    "d = pickle.load(open('model.pkl', 'rb'), encoding='latin1'); np.savez('model.npz', **{k: np.asarray(v.todense() "
    "if hasattr(v, 'todense') else v, float) for k, v in d.items() if k not in ('bs_style', 'bs_type')})\""
)


class _Reader:
    """The stack and the memo while one pickle is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def read(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self.stack.pop()
            self._step(opcode.name, argument)
        raise ValueError("the file ends too early")

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif hasattr(self, f"_do_{name.lower()}"):
            getattr(self, f"_do_{name.lower()}")(argument)
        elif name not in ("PROTO", "FRAME"):
            raise self._refusal(f"the instruction {name}")

    def _refusal(self, what: str) -> InputError:
        return InputError(
            f"{self.path} asks for {what}, which is more than arrays; it was not read and nothing was run"
        )

    def _pop_to_mark(self) -> list[Any]:
        """Remove the newest mark and all above it from the stack; return the items above it."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    # ---- stack and memo
    def _do_pop(self, _: Any) -> None:
        self.stack.pop()

    def _do_pop_mark(self, _: Any) -> None:
        self._pop_to_mark()

    def _do_put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    _do_binput = _do_long_binput = _do_put

    def _do_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _do_get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    _do_binget = _do_long_binget = _do_get

    # ---- containers
    def _do_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._pop_to_mark()))

    def _make_tuple(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(items)

    def _do_tuple1(self, _: Any) -> None:
        self._make_tuple(1)

    def _do_tuple2(self, _: Any) -> None:
        self._make_tuple(2)

    def _do_tuple3(self, _: Any) -> None:
        self._make_tuple(3)

    def _do_list(self, _: Any) -> None:
        self.stack.append(self._pop_to_mark())

    def _do_append(self, _: Any) -> None:
        item = self.stack.pop()
        self.stack[-1].append(item)

    def _do_appends(self, _: Any) -> None:
        items = self._pop_to_mark()
        self.stack[-1].extend(items)

    def _do_dict(self, _: Any) -> None:
        items = self._pop_to_mark()
        self.stack.append(dict(zip(items[::2], items[1::2], strict=True)))

    def _do_setitem(self, _: Any) -> None:
        key, value = self.stack[-2:]
        del self.stack[-2:]
        self.stack[-1][key] = value

    def _do_setitems(self, _: Any) -> None:
        items = self._pop_to_mark()
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    # ---- names and calls
    def _do_global(self, argument: str) -> None:
        name = argument.replace(" ", ".")
        if name not in _INERT | _CALLS and not _HOLDERS.fullmatch(name):
            raise self._refusal(name)
        self.stack.append(_GlobalName(name))

    def _do_stack_global(self, _: Any) -> None:
        module, name = self.stack[-2:]
        del self.stack[-2:]
        self._do_global(f"{module} {name}")

    def _do_reduce(self, _: Any) -> None:
        arguments, target = self.stack.pop(), self.stack.pop()
        self.stack.append(self._call_result(target, arguments))

    def _do_newobj(self, _: Any) -> None:
        self.stack.pop()
        target = self.stack.pop()
        self.stack.append(self._holder(target))

    def _holder(self, target: Any) -> _Record:
        if not isinstance(target, _GlobalName) or not _HOLDERS.fullmatch(target.name):
            raise self._refusal(f"an object of {getattr(target, 'name', target)}")
        return _Record("holder", value=target.name)

    def _call_result(self, target: Any, arguments: tuple[Any, ...]) -> Any:
        """The value that a call in the pickle stands for; only the names in `_CALLS` are known, none is called."""
        name = target.name if isinstance(target, _GlobalName) else "an unnamed object"
        last = name.rpartition(".")[2]
        if name not in _CALLS:
            raise self._refusal(f"a call of {name}")
        if last == "_reconstruct":
            return _Record("array")
        if last == "dtype":
            return _Record("dtype", value=_numeric_dtype(arguments[0]))
        if last == "scalar":
            return np.frombuffer(_bytes(arguments[1]), arguments[0].value)[0]
        if last == "_frombuffer":
            raw, dtype, shape, order = arguments
            return _Record("array", value=np.frombuffer(bytes(raw), dtype.value).reshape(shape, order=order).copy())
        if last == "encode":
            return _bytes(arguments[0])
        if last == "_reconstructor":
            return self._holder(arguments[0])
        return set() if last == "set" else {}  # chumpy's bookkeeping, not used here

    def _do_build(self, _: Any) -> None:
        state = self.stack.pop()
        record = self.stack[-1]
        if not isinstance(record, _Record):
            raise self._refusal("a state for an object that is not an array")
        record.state = state
        if record.kind == "dtype" and state[1] in "<>":
            record.value = record.value.newbyteorder(state[1])
        if record.kind == "array":
            _, shape, dtype, fortran, raw = state
            flat = np.frombuffer(_bytes(raw), dtype.value)
            record.value = flat.reshape(shape, order="F" if fortran else "C").copy()


def _numeric_dtype(text: Any) -> np.dtype:
    text = text.decode("latin1") if isinstance(text, bytes) else str(text)
    if not NUMERIC.fullmatch(text):
        raise ValueError(f"an array has type {text!r}, which is not numeric")
    return np.dtype(text)


def _bytes(text: str | bytes) -> bytes:
    """Raw bytes; byte strings of Python 2 are read as latin-1 text."""
    return text if isinstance(text, bytes) else text.encode("latin1")


def _plain(value: Any) -> np.ndarray | None:
    """The array that a value is or holds; None for anything else."""
    if not isinstance(value, _Record):
        return np.asarray(value) if isinstance(value, int | float | np.number) else None
    if value.kind == "array":
        return value.value
    if value.kind != "holder" or not isinstance(value.state, dict):
        return None
    state = value.state
    if "indptr" in state:
        return _dense({name: _plain(part) for name, part in state.items()}, state, "csc" in value.value)
    return _plain(state.get("x"))


def _dense(parts: dict[str, np.ndarray | None], state: dict[str, Any], by_column: bool) -> np.ndarray | None:
    """A compressed sparse matrix as a dense array; None if a part is missing."""
    rows, columns = state["_shape"]
    values, index, pointer = parts["data"], parts["indices"], parts["indptr"]
    if values is None or index is None or pointer is None:
        return None
    outer = np.repeat(np.arange(len(pointer) - 1), np.diff(pointer))
    dense = np.zeros((rows, columns), values.dtype)
    np.add.at(dense, (index, outer) if by_column else (outer, index), values)
    return dense
