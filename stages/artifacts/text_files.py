"""Read text, JSON and TOML from files of others. Every damage is one InputError that names the file.

`parse_json` and `parse_toml` read text that lies in another file, such as a provenance record; they raise ValueError.
Values are bounded, so that what uses them needs no further check: depth, size of integers, text that is valid Unicode.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stages.artifacts.regular_file import require_regular_file
from stages.errors import InputError

MAX_BYTES = 256 << 20
"""Largest text file. Keypoints of twenty minutes of video take this much."""
MAX_DEPTH = 64
"""Most lists and objects in each other."""
MAX_INTEGER = 1 << 128
"""Every such integer can become a float. Tokenizers write 10**30 for "no limit"."""


def read_text(path: Path, advice: str) -> str:
    """The text of a file; `advice` says what to do about a wrong one.

    Raises InputError for a file that is missing, not a regular file, too large, or not UTF-8.
    """
    path = require_regular_file(path, advice)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size / 1e6:.0f} MB, more than a text file of emosh has; {advice}")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is damaged or not a text file (no UTF-8 at byte {error.start}); {advice}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {advice}") from error


def read_json(path: Path, advice: str) -> Any:
    """The value in a JSON file. Raises InputError as `read_text` does, and for what `parse_json` refuses."""
    text = read_text(path, advice)
    try:
        return parse_json(text)
    except ValueError as error:
        raise InputError(f"{path} is damaged or not JSON ({error}); {advice}") from error


def read_json_object(path: Path, advice: str) -> dict[str, Any]:
    """As `read_json`, for a file that must hold an object."""
    value = read_json(path, advice)
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object; {advice}")
    return value


def read_toml(path: Path, advice: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises InputError as `read_text` does, and for what `parse_toml` refuses."""
    text = read_text(path, advice)
    try:
        return parse_toml(text)
    except ValueError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for any other text, and for a value beyond the bounds."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at line {error.lineno}") from error
    _check_bounds(value, "\\ud" in text or "\\uD" in text)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises ValueError for any other text, and for a value beyond the bounds."""
    import tomllib

    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_bounds(value, surrogates=False)
    return value


def _check_bounds(value: Any, surrogates: bool) -> None:
    """Raises ValueError for depth, for huge integers, and for halves of characters (`surrogates`: look for them)."""
    level = [value]
    for _ in range(MAX_DEPTH):
        children: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                children += each.values()
                if surrogates and not all(map(_is_text, each)):
                    raise ValueError("a key is not valid text")
            elif isinstance(each, list):
                children += each
            elif type(each) is int and not -MAX_INTEGER <= each < MAX_INTEGER:
                raise ValueError("a number is too large")
            elif surrogates and isinstance(each, str) and not _is_text(each):
                raise ValueError("a text is not valid")
        if not children:
            return
        level = children
    raise ValueError("it is nested too deeply")


def _is_text(text: str) -> bool:
    """False for a text with half of a surrogate pair, which cannot be written to any file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
