"""Settings: frozen dataclasses in the stages, overridden by presets, TOML files, `--set` and a command's own flags.

Precedence, weakest first: defaults in code < presets < files < `--set` < own flags. A TOML file has one table per
section. Nothing is dropped: an unknown table, key or type is refused with the nearest name that exists.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.errors import InputError

SECTIONS: dict[str, str] = {
    "track": "stages.track.config:TrackConfig",
    "retarget": "stages.retarget.config:RetargetConfig",
    "render_cond": "stages.render_cond.config:RenderCondConfig",
    "puppet": "stages.generate.puppet.config:PuppetConfig",
    "encode": "stages.encode.config:EncodeConfig",
    "cache": "stages.encode.cache_config:CacheConfig",
    "wan": "stages.wan.config:WanConfig",
    "wan_run": "stages.wan.run_config:RunConfig",
    "curate": "stages.curate.config:CurateConfig",
    "train": "stages.train.config:TrainConfig",
    "evaluate": "stages.evaluate.config:EvaluateConfig",
    "export": "stages.export.config:ExportConfig",
    "people": "stages.people.config:PeopleConfig",
    "study": "stages.evaluate.config:StudyConfig",
}
"""Section of a TOML file -> the dataclass that holds it."""

RENAMED: dict[tuple[str, str], str] = {
    ("train", "moved_probability"): "augment_probability",
    ("train", "keep"): "keep_checkpoints",
    ("train", "ema"): "ema_decay",
}
"""(section, old key) -> new key, for settings that had another name in an earlier version."""

Layer = tuple[str, dict[str, dict[str, Any]]]
"""Where settings came from, and section -> key -> value."""


def config_class(section: str) -> type:
    """The frozen dataclass of a section, imported on demand."""
    module, attribute = SECTIONS[section].split(":")
    return getattr(importlib.import_module(module), attribute)


def resolve(
    sections: tuple[str, ...],
    sources: list[str],
    settings: list[str],
    flags: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Build the configs of `sections` from `--config` sources, `--set` texts and flags (None: not given).

    Raises InputError naming the source, the key and the nearest valid one.
    """
    layers = [*_files(sources), *(_setting(text, sections) for text in settings)]
    values: dict[str, dict[str, Any]] = {section: {} for section in sections}
    for where, tables in layers:
        for section, table in tables.items():
            checked = _checked(section, table, where)
            if section in values:
                values[section].update(checked)
    for section, given in flags.items():
        wanted = {key: value for key, value in given.items() if value is not None}
        values[section].update(_checked(section, wanted, "the command line"))
    return {section: _built(section, table) for section, table in values.items()}


def _built(section: str, values: dict[str, Any]) -> Any:
    try:
        return config_class(section)(**values)
    except (InputError, ValueError) as error:
        raise InputError(f"[{section}] {error}") from error


# ---- where settings come from
def _files(sources: list[str]) -> list[Layer]:
    """Presets first, then files, each in the order given."""
    presets = [(source, path) for source in sources if (path := _preset(source)) is not None]
    files = [(source, Path(source)) for source in sources if _preset(source) is None]
    return [(name, read_toml(path)) for name, path in (*presets, *files)]


def _preset(source: str) -> Path | None:
    """The preset of that name, unless `source` is spelt like a file."""
    if source.endswith(".toml") or "/" in source or "\\" in source:
        return None
    known = presets()
    if source not in known:
        raise InputError(f"no preset is called '{source}'{_nearest(source, known)}; see: emosh config list")
    return known[source]


def presets() -> dict[str, Path]:
    """Preset name -> TOML file, from the installed package or the checkout: a folder of them for each command."""
    here = Path(__file__).parent
    folder = next((each for each in (here / "configs", here.parent / "configs") if each.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*/*.toml"))}


def read_toml(path: Path) -> dict[str, dict[str, Any]]:
    """Tables of a settings file. Raises InputError for a missing or malformed one."""
    try:
        tables = _loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; write one with: emosh config init {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error
    for section, table in tables.items():
        if section not in SECTIONS:
            raise InputError(f"{path}: no section is called '{section}'{_nearest(section, SECTIONS)}")
        if not isinstance(table, dict):
            raise InputError(f"{path}: '{section}' must be a table: [{section}]")
    return tables


def _loads(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


def read_pyproject(path: Path) -> dict[str, Any]:
    """emosh's own project file, where it runs from a checkout without being installed."""
    return _loads(path.read_text(encoding="utf-8"))


def _setting(text: str, sections: tuple[str, ...]) -> Layer:
    """`key=value` for a one-section command, `section.key=value` anywhere."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text}: write it as key=value")
    section, _, name = key.strip().rpartition(".")
    section, name = section.replace("-", "_"), name.replace("-", "_")
    if not section:
        section = _owner(name, sections, text)
    elif section not in sections:
        raise InputError(f"--set {text}: no section is called '{section}'{_nearest(section, sections)}")
    return f"--set {text}", {section: {name: _value(value.strip())}}


def _owner(name: str, sections: tuple[str, ...], text: str) -> str:
    if len(sections) == 1:
        return sections[0]
    owners = [each for each in sections if name in _types(config_class(each)) or (each, name) in RENAMED]
    if len(owners) == 1:
        return owners[0]
    if owners:
        choices = " or ".join(f"{owner}.{name}" for owner in owners)
        raise InputError(f"--set {text}: '{name}' is a setting of several stages; write {choices}")
    every = {key: section for section in sections for key in _types(config_class(section))}
    raise InputError(f"--set {text}: no setting is called '{name}'{_nearest(name, every)}; see: emosh config show")


def _value(text: str) -> Any:
    """A TOML value, or the text itself where it is none: solver=gn needs no quotes."""
    try:
        return _loads(f"value = {text}")["value"]
    except ValueError:
        return text


# ---- checking
def _checked(section: str, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = _types(config_class(section))
    checked = {}
    for key, value in table.items():
        if key not in known:
            renamed = RENAMED.get((section, key))
            hint = f"; it is called '{renamed}' now" if renamed else _nearest(key, known)
            raise InputError(f"{where}: [{section}] has no setting '{key}'{hint}")
        checked[key] = _converted(value, known[key], f"{where}: [{section}] {key}")
    return checked


def _types(config: type) -> dict[str, Any]:
    hints = typing.get_type_hints(config)
    return {field.name: hints[field.name] for field in dataclasses.fields(config)}


def _converted(value: Any, expected: Any, where: str) -> Any:
    """`value` as `expected`; an int is a float, a list is a tuple, "none" is None where None is allowed."""
    for choice in _choices(expected):
        found, accepted = _as(value, choice)
        if found:
            return accepted
    raise InputError(f"{where} is {value!r}, expected {_spelt(expected)}")


def _choices(expected: Any) -> tuple[Any, ...]:
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return typing.get_args(expected)
    return (expected,)


def _as(value: Any, expected: Any) -> tuple[bool, Any]:
    origin = typing.get_origin(expected)
    if origin is typing.Literal:
        return value in typing.get_args(expected), value
    if origin in (tuple, list):
        return _as_sequence(value, expected)
    if expected in (None, type(None)):
        return value is None or value == "none", None
    if expected is Path:
        return isinstance(value, str | Path), Path(value) if isinstance(value, str | Path) else value
    if expected is float:
        accepted = isinstance(value, int | float) and not isinstance(value, bool) and value == value  # nan is not
        return accepted, float(value) if accepted else value
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return isinstance(value, expected), value


def _as_sequence(value: Any, expected: Any) -> tuple[bool, Any]:
    if not isinstance(value, list | tuple):
        return False, value
    inner = [each for each in typing.get_args(expected) if each is not Ellipsis]
    fixed = typing.get_origin(expected) is tuple and Ellipsis not in typing.get_args(expected)
    if fixed and len(value) != len(inner):
        return False, value
    kinds = inner if fixed else inner[:1] * len(value)
    pairs = [_as(each, kind) for each, kind in zip(value, kinds, strict=True)]
    return all(found for found, _ in pairs), typing.get_origin(expected)(each for _, each in pairs)


WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
PLURALS = {int: "whole numbers", float: "numbers", str: "texts", Path: "paths"}


def _spelt(expected: Any) -> str:
    """A type in words: `tuple[str, ...]` is "a list of texts", `float | None` is "a number or 'none'"."""
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if origin is typing.Literal:
        return " or ".join(repr(each) for each in inner)
    if origin in (tuple, list):
        return f"a list of {PLURALS[inner[0]]}"
    if len(_choices(expected)) > 1:
        return " or ".join(_spelt(choice) for choice in _choices(expected))
    if expected is type(None):
        return "'none'"
    return WORDS[expected]


def _nearest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there are: {', '.join(known)}" if known else ""


# ---- showing
def documented(section: str) -> list[tuple[str, str, Any, str]]:
    """(key, type, default, meaning) of every setting; the meaning is the docstring under the field."""
    config = config_class(section)
    meanings, defaults, known = _meanings(config), config(), _types(config)
    return [(key, _spelt(known[key]), getattr(defaults, key), meanings.get(key, "")) for key in known]


def _meanings(config: type) -> dict[str, str]:
    body = ast.parse(inspect.cleandoc(inspect.getsource(config))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
            found[field.target.id] = " ".join(text.split())
    return found


def toml_value(value: Any) -> str:
    """A default as it would stand in a TOML file; None is the text "none"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return '"none"'
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml_value(each) for each in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def is_built(section: str) -> bool:
    """Whether the stage that owns the section is in this build."""
    try:
        return importlib.util.find_spec(SECTIONS[section].split(":")[0]) is not None
    except ModuleNotFoundError:
        return False
