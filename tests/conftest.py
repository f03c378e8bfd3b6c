"""What tests share: annotations checked, and the open body, baked once into the user's cache (or EMOSH_HOME)."""

from __future__ import annotations

import pytest

from tests.type_checking import check_stages

check_stages()

from stages.body.model import Body  # noqa: E402
from stages.body.store import open_body  # noqa: E402


@pytest.fixture(scope="session")
def body() -> Body:
    """The open body."""
    return open_body("open")
