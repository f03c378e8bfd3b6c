"""The threads of the fit in a forked process."""

from __future__ import annotations

import os
import sys

import pytest

from stages.track.threads import on_all_cores


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_works_with_threads_of_its_own() -> None:
    """A fork copies the pool but not its threads; the child would wait for them without end."""
    assert on_all_cores(abs, [-1, -2]) == [1, 2]
    child = os.fork()
    if not child:
        import faulthandler

        faulthandler.dump_traceback_later(20, exit=True)
        os._exit(0 if on_all_cores(abs, [-3]) == [3] else 1)
    assert os.waitpid(child, 0)[1] == 0
