"""A model folder that asks for code of its own, for pickled weights or for another folder's weights is refused by name.

transformers runs a folder's own Python where a config has `auto_map`, after a question on the terminal; diffusers does
so for a pipeline whose model_index.json names a module of its own. emosh needs neither, so such a folder is refused
before anything of it is loaded. The loaders refuse it a second time (`trust_remote_code=False`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.artifacts.text_files import read_json
from stages.errors import InputError

CODE_KEYS = ("auto_map", "custom_pipeline", "custom_pipelines", "custom_generate", "trust_remote_code")
"""Keys of any config, at any depth, that ask for code from the folder or from the Hub."""
ELSEWHERE_KEYS = ("transformers_weights",)
"""Keys that name another weights file than the one whose header emosh checks."""
KERNEL_KEYS = ("attn_implementation", "_attn_implementation", "experts_implementation")
"""Keys whose value, with a slash in it, is a repository on the Hub that holds compiled code."""
LIBRARIES = ("diffusers", "transformers")
"""The only modules that a model_index.json may name."""
PLAIN_DATA = ("tokenizer.json", "vocab.json", "added_tokens.json", "special_tokens_map.json")
"""Vocabularies: long, and nothing in them names a class."""
MAX_CONFIG_BYTES = 16_000_000


def refuse_foreign_code(folder: Path) -> None:
    """Look at every config in a model folder, and in the parts in it. Raises InputError naming file and key.

    Reads JSON only. Damaged JSON is left to whoever needs the file, who refuses it.
    """
    for path in sorted({*folder.glob("*.json"), *folder.glob("*/*.json")}):
        if path.name in PLAIN_DATA or path.name.endswith(".index.json"):
            continue
        if path.name == "adapter_config.json":
            raise InputError(f"{path} names another model's folder to load; take it out of the model folder")
        config = _config(path)
        if path.name == "model_index.json":
            _check_index(path, config)
        for key, value in _entries(config):
            if key in CODE_KEYS:
                raise InputError(f"{path} asks for code of its own ('{key}'), which emosh never runs; {_INSTEAD}")
            if key in ELSEWHERE_KEYS:
                raise InputError(f"{path} names its weights file itself ('{key}'); {_INSTEAD}")
            if key in KERNEL_KEYS and "/" in str(value):
                raise InputError(f"{path} asks for compiled code from the Hub ('{key}'); {_INSTEAD}")


_INSTEAD = "take the key out, or give a folder in plain diffusers layout"


def _config(path: Path) -> Any:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise InputError(f"{path} is not a config: it has {path.stat().st_size} bytes; fetch the model again")
    return read_json(path, "fetch the model again")


def _check_index(path: Path, config: Any) -> None:
    """A pipeline's parts are [module, class] each."""
    for name, value in config.items() if isinstance(config, dict) else ():
        if not isinstance(value, list) or not value:
            continue
        module = value[0]
        if module is not None and module not in LIBRARIES:
            raise InputError(
                f"{path}: part '{name}' comes from the module {module!r}, and emosh loads those of "
                f"{' and '.join(LIBRARIES)} only; {_INSTEAD}"
            )


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)
