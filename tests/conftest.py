"""What tests share: the open body, baked once into the user's cache (or EMOSH_HOME) and read once a session."""

from __future__ import annotations

import pytest
from jaxtyping import install_import_hook

with install_import_hook("stages", "beartype.beartype"):  # every annotated shape is checked, in tests only
    from stages.body.model import Body
    from stages.body.store import open_body


@pytest.fixture(scope="session")
def body() -> Body:
    """The open body."""
    return open_body("open")
