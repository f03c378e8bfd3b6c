"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from stages.counted import counted


@pytest.mark.parametrize(("number", "said"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_one_thing_is_no_things(number: int, said: str) -> None:
    """Only one is singular."""
    assert counted(number, "frame") == said
