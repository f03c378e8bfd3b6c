"""Work beside other work."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from stages.cores import meanwhile, use_cores


@pytest.fixture
def one_core() -> Iterator[None]:
    use_cores(1)
    yield
    use_cores(0)


def test_work_beside_a_block_gives_its_result() -> None:
    """The block runs on while the work does, and the result is there at its end."""
    go = threading.Event()
    with meanwhile(lambda: go.wait(20)) as done:
        go.set()
    assert done.result() is True


def test_a_failure_beside_a_block_is_raised_at_its_end() -> None:
    """The block runs to its end; then the failure of the work is raised."""
    reached = []
    with pytest.raises(ZeroDivisionError), meanwhile(lambda: 1 // 0):
        reached.append(True)
    assert reached == [True]


def test_the_failure_of_the_block_comes_first() -> None:
    """Where both fail, the block's own failure is raised."""
    with pytest.raises(KeyError), meanwhile(lambda: 1 // 0):
        raise KeyError


@pytest.mark.usefixtures("one_core")
def test_on_one_core_the_work_comes_before_the_block() -> None:
    """Nothing runs at the same time when only one core may be used."""
    order = []
    with meanwhile(lambda: order.append("work")):
        order.append("block")
    assert order == ["work", "block"]
