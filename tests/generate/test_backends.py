"""Choosing a generator."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from stages.errors import InputError
from stages.generate import backends
from stages.generate.backends import choose
from stages.generate.puppet.config import PuppetConfig
from stages.wan.weights import GROUPS, WEIGHTS, missing_parts, model_folder
from tests.wan import tiny


def install(home: Path, *names: str) -> None:
    """Put placeholder files at the places of the named parts."""
    for each in WEIGHTS:
        if each.name in names:
            place = each.installed_path(home)
            place.parent.mkdir(parents=True, exist_ok=True)
            if each.is_file:
                place.write_text("x")
            else:
                place.mkdir()
                (place / "config.json").write_text("{}")


def base(place: Path, transformer: Any) -> None:
    """A tiny base in the place of the installed one."""
    shutil.rmtree(place / "transformer", ignore_errors=True)
    transformer.save_pretrained(place / "transformer")


def test_auto_takes_the_puppet_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is the puppet without wan's weights, with a base not trained on the maps, or without a GPU, and gives
    the reason; otherwise it is wan."""
    monkeypatch.setattr(backends, "_has_gpu", lambda: False)
    assert choose("auto", tmp_path) == (
        "puppet",
        f"wan's weights are not installed ({', '.join(missing_parts(tmp_path))}); puppet is built in",
    )
    install(tmp_path, *GROUPS["wan"])
    place = model_folder(tmp_path)
    base(place, tiny.i2v_transformer())
    name, why = choose("auto", tmp_path)
    assert name == "puppet"
    assert "emosh-adapter is not installed" in why
    base(place, tiny.animate_transformer())
    name, why = choose("auto", tmp_path)
    assert name == "puppet"
    assert "no GPU" in why
    assert choose("auto", tmp_path, device="cpu")[0] == "wan"
    monkeypatch.setattr(backends, "_has_gpu", lambda: True)
    skeleton = "its weights are installed, with face modules, which read the skeleton and the face"
    assert choose("auto", tmp_path) == ("wan", skeleton)
    install(tmp_path, "emosh-adapter")
    assert choose("auto", tmp_path) == ("wan", "its weights are installed, with an adapter, which reads the mesh")
    assert choose("auto", tmp_path, adapter="none") == ("wan", skeleton)
    base(place, tiny.i2v_transformer())
    assert choose("auto", tmp_path, adapter="none")[0] == "puppet"
    assert choose("auto", tmp_path, adapter="mine.safetensors")[0] == "wan"


def test_a_named_backend_is_used(tmp_path: Path) -> None:
    """A named backend is used, and a named model selects wan."""
    assert choose("puppet", tmp_path, model=True)[0] == "puppet"
    assert choose("auto", tmp_path, model=True) == ("wan", "a model was given with --model")
    assert choose("wan", tmp_path, model=True) == ("wan", "chosen with --backend")
    install(tmp_path, *GROUPS["wan"])
    assert choose("wan", tmp_path) == ("wan", "chosen with --backend")


def test_a_missing_backend_is_a_one_line_error(tmp_path: Path) -> None:
    """wan without its weights, or an unknown name, is an error that says what to use instead."""
    with pytest.raises(InputError, match=r"lacks wan-animate.*--backend puppet"):
        choose("wan", tmp_path)
    with pytest.raises(InputError, match="auto, wan, puppet"):
        choose("wam", tmp_path)


@pytest.mark.parametrize("wrong", [{"framing": "photo"}, {"size": 10}, {"supersample": 0.5}, {"grid_step": 1}])
def test_a_config_that_cannot_be_drawn_is_refused(wrong: dict) -> None:
    """Values outside their range are an InputError that names the field."""
    with pytest.raises(InputError, match=next(iter(wrong))):
        PuppetConfig(**wrong)
