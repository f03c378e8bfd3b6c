"""Choosing a generator."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from stages.errors import InputError
from stages.generate.backends import BACKENDS, choose
from stages.generate.puppet.config import PuppetConfig


def test_auto_takes_the_puppet_and_says_why(tmp_path: Path) -> None:
    """Without wan's weights `auto` is the puppet, with a reason that names wan."""
    name, why = choose("auto", tmp_path)
    assert name == "puppet"
    assert "wan" in why


def test_what_is_not_here_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Asking for wan, or for a name that is none, is an error that says what to use instead."""
    with pytest.raises(InputError, match="--backend puppet"):
        choose("wan", tmp_path)
    with pytest.raises(InputError, match="auto, wan, puppet"):
        choose("wam", tmp_path)


def test_every_backend_can_be_loaded() -> None:
    """The table's "module:attribute" names are callables."""
    for place in BACKENDS.values():
        module, attribute = place.split(":")
        assert callable(getattr(import_module(module), attribute))


@pytest.mark.parametrize("wrong", [{"framing": "photo"}, {"size": 10}, {"supersample": 0.5}, {"grid_step": 1}])
def test_a_config_that_cannot_be_drawn_is_refused(wrong: dict) -> None:
    """Values outside their range are an InputError that names the field."""
    with pytest.raises(InputError, match=next(iter(wrong))):
        PuppetConfig(**wrong)
