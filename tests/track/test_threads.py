"""The threads of the fit: in a forked process, and of linear algebra."""

from __future__ import annotations

import json
import os
import subprocess
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


def test_a_fit_limits_the_threads_of_every_blas() -> None:
    """Inside a fit no linear algebra has threads of its own, scipy's included, which a program may not have loaded."""
    code = (
        "from threadpoolctl import threadpool_info\n"
        "from stages.track.threads import single_threaded_algebra\n"
        "import numpy\n"
        "with single_threaded_algebra():\n"
        "    import scipy.linalg\n"
        "    print([each['num_threads'] for each in threadpool_info() if each['user_api'] == 'blas'])\n"
    )
    cores = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    found = subprocess.run([sys.executable, "-c", code], env=cores, capture_output=True, text=True, check=True)
    threads = json.loads(found.stdout)
    assert threads
    assert set(threads) == {1}
