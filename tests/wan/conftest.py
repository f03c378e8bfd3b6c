"""Tiny model folders, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wan import tiny


@pytest.fixture(scope="session")
def animate_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wan-Animate folder in miniature, its face branch silenced. Read only."""
    return tiny.save_folder(tmp_path_factory.mktemp("models") / "animate", tiny.animate_transformer(silenced=True))


@pytest.fixture(scope="session")
def i2v_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wan2.1-I2V folder in miniature. Read only."""
    return tiny.save_folder(tmp_path_factory.mktemp("models") / "i2v", tiny.i2v_transformer())
