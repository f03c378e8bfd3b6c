"""Settings: frozen dataclasses in the stages. Presets, TOML files, `--set` and a command's own flags override them.

Precedence, weakest first: defaults in code < presets < files < `--set` < own flags. A TOML file has one table per
section. Nothing is ignored: an unknown table, an unknown key or a wrong type is an error that names the nearest valid
name.
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

from stages.artifacts import text_files
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
"""(source of the settings, section -> key -> value)."""


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
    """Build the configs of `sections` from `--config` sources, `--set` texts and flags (None: flag not set).

    Raises InputError naming the source, the key and the nearest valid one.
    """
    layers = [*_config_layers(sources), *(_set_layer(text, sections) for text in settings)]
    values: dict[str, dict[str, Any]] = {section: {} for section in sections}
    for where, tables in layers:
        for section, table in tables.items():
            checked = _check_table(section, table, where)
            if section in values:
                values[section].update(checked)
    for section, given in flags.items():
        table = {key: value for key, value in given.items() if value is not None}
        values[section].update(_check_table(section, table, "the command line"))
    return {section: _build(section, table) for section, table in values.items()}


def _build(section: str, values: dict[str, Any]) -> Any:
    try:
        return config_class(section)(**values)
    except (InputError, ValueError) as error:
        raise InputError(f"[{section}] {error}") from error


# ---- where settings come from
def _config_layers(sources: list[str]) -> list[Layer]:
    """Presets first, then files, each in the order of the command line."""
    presets = [(source, path) for source in sources if (path := _preset_file(source)) is not None]
    files = [(source, Path(source)) for source in sources if _preset_file(source) is None]
    return [(name, read_toml(path)) for name, path in (*presets, *files)]


def _preset_file(source: str) -> Path | None:
    """The file of the preset named `source`; None if `source` looks like a path."""
    if source.endswith(".toml") or "/" in source or "\\" in source:
        return None
    known = presets()
    if source not in known:
        raise InputError(f"no preset is called '{source}'{_nearest(source, known)}; see: emosh config list")
    return known[source]


def presets() -> dict[str, Path]:
    """Preset name -> TOML file, from the installed package or the checkout (one folder per command)."""
    here = Path(__file__).parent
    folder = next((each for each in (here / "configs", here.parent / "configs") if each.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*/*.toml"))}


def read_toml(path: Path) -> dict[str, dict[str, Any]]:
    """Tables of a settings file. Raises InputError for a missing or malformed one."""
    tables = text_files.read_toml(path, f"write one with: emosh config init {path}")
    for section, table in tables.items():
        if section not in SECTIONS:
            raise InputError(f"{path}: no section is called '{section}'{_nearest(section, SECTIONS)}")
        if not isinstance(table, dict):
            raise InputError(f"{path}: '{section}' must be a table: [{section}]")
    return tables


def read_pyproject(path: Path) -> dict[str, Any]:
    """The parsed pyproject.toml of emosh, if it runs from a checkout without being installed."""
    return text_files.read_toml(path, "restore it")


def _set_layer(text: str, sections: tuple[str, ...]) -> Layer:
    """Parse one --set: `section.key=value`, or `key=value` if only one section of the command has that key."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text}: write it as key=value")
    section, _, name = key.strip().rpartition(".")
    section, name = section.replace("-", "_"), name.replace("-", "_")
    if not section:
        section = _owning_section(name, sections, text)
    elif section not in sections:
        raise InputError(f"--set {text}: no section is called '{section}'{_nearest(section, sections)}")
    return f"--set {text}", {section: {name: _parsed_value(value.strip())}}


def _owning_section(name: str, sections: tuple[str, ...], text: str) -> str:
    if len(sections) == 1:
        return sections[0]
    owners = [each for each in sections if name in _field_types(config_class(each)) or (each, name) in RENAMED]
    if len(owners) == 1:
        return owners[0]
    if owners:
        choices = " or ".join(f"{owner}.{name}" for owner in owners)
        raise InputError(f"--set {text}: '{name}' is a setting of several stages; write {choices}")
    every = {key: section for section in sections for key in _field_types(config_class(section))}
    raise InputError(f"--set {text}: no setting is called '{name}'{_nearest(name, every)}; see: emosh config show")


def _parsed_value(text: str) -> Any:
    """The TOML value, or the text itself if it is not valid TOML: solver=gn needs no quotes."""
    try:
        return text_files.parse_toml(f"value = {text}")["value"]
    except ValueError:
        return text


# ---- checking
def _check_table(section: str, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = _field_types(config_class(section))
    checked = {}
    for key, value in table.items():
        if key not in known:
            renamed = RENAMED.get((section, key))
            hint = f"; it is called '{renamed}' now" if renamed else _nearest(key, known)
            raise InputError(f"{where}: [{section}] has no setting '{key}'{hint}")
        checked[key] = _convert(value, known[key], f"{where}: [{section}] {key}")
    return checked


def _field_types(config: type) -> dict[str, Any]:
    hints = typing.get_type_hints(config)
    return {field.name: hints[field.name] for field in dataclasses.fields(config)}


def _convert(value: Any, expected: Any, where: str) -> Any:
    """`value` as the type `expected`. An int becomes a float, a list a tuple, and "none" None if None is allowed."""
    for choice in _choices(expected):
        found, accepted = _try_type(value, choice)
        if found:
            return accepted
    raise InputError(f"{where} is {value!r}, expected {_type_text(expected)}")


def _choices(expected: Any) -> tuple[Any, ...]:
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return typing.get_args(expected)
    return (expected,)


def _try_type(value: Any, expected: Any) -> tuple[bool, Any]:
    origin = typing.get_origin(expected)
    if origin is typing.Literal:
        return value in typing.get_args(expected), value
    if origin in (tuple, list):
        return _try_sequence(value, expected)
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


def _try_sequence(value: Any, expected: Any) -> tuple[bool, Any]:
    if not isinstance(value, list | tuple):
        return False, value
    inner = [each for each in typing.get_args(expected) if each is not Ellipsis]
    fixed = typing.get_origin(expected) is tuple and Ellipsis not in typing.get_args(expected)
    if fixed and len(value) != len(inner):
        return False, value
    kinds = inner if fixed else inner[:1] * len(value)
    pairs = [_try_type(each, kind) for each, kind in zip(value, kinds, strict=True)]
    return all(found for found, _ in pairs), typing.get_origin(expected)(each for _, each in pairs)


TYPE_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
PLURAL_WORDS = {int: "whole numbers", float: "numbers", str: "texts", Path: "paths"}


def _type_text(expected: Any) -> str:
    """A type in words: `tuple[str, ...]` is "a list of texts", `float | None` is "a number or 'none'"."""
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if origin is typing.Literal:
        return " or ".join(repr(each) for each in inner)
    if origin in (tuple, list):
        return f"a list of {PLURAL_WORDS[inner[0]]}"
    if len(_choices(expected)) > 1:
        return " or ".join(_type_text(choice) for choice in _choices(expected))
    if expected is type(None):
        return "'none'"
    return TYPE_WORDS[expected]


def _nearest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there are: {', '.join(known)}" if known else ""


# ---- showing
def describe_settings(section: str) -> list[tuple[str, str, Any, str]]:
    """(key, type, default, meaning) of every setting; the meaning is the docstring under the field."""
    config = config_class(section)
    meanings, defaults, known = _field_meanings(config), config(), _field_types(config)
    return [(key, _type_text(known[key]), getattr(defaults, key), meanings.get(key, "")) for key in known]


def _field_meanings(config: type) -> dict[str, str]:
    body = ast.parse(inspect.getsource(config)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
            found[field.target.id] = " ".join(text.split())
    return found


def toml_value(value: Any) -> str:
    """A value as TOML text. None becomes "none"."""
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


def is_available(section: str) -> bool:
    """Whether the module of the section is installed."""
    try:
        return importlib.util.find_spec(SECTIONS[section].split(":")[0]) is not None
    except ModuleNotFoundError:
        return False
