"""Where tests may write: folders of this run. A test that leaves something elsewhere, or reads what the user installed,
depends on the machine.

A run gets a home, a temporary folder and a working folder of its own, all empty but for the open body; a subprocess
inherits them by its environment. After each test they must be as they were. What this process writes anywhere else is
seen through Python's audit events: a name in the code, or the checkout. It does not see what a library writes
in C, or a subprocess under a fixed name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOREIGN = ("EMOSH_", "XDG_", "HF_", "RAY_", "TORCH_", "PYTEST_DEBUG", "WORLD_SIZE", "RANK", "LOCAL_RANK", "COLUMNS",
           "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "TTY_", "LC_", "LANG", "PYTHONIOENCODING")  # fmt: skip
"""Variables that start so are the user's, and would change what a test sees."""
BY_PRODUCTS = ("__pycache__", ".pytest_cache")
"""Folders beside the code that Python, numba and pytest fill."""
WHILE_IT_LIVES = (".", "pymp-", "cache")
"""Folders that begin so are not looked into: libraries' in the home, multiprocessing's, and emosh's own cache, whose
digests and prompts are named by content."""
SESSION = ".ses"
"""onnxruntime's, in TMPDIR."""


@dataclass
class Places:
    """One run's folders, and what was written outside of them. `temporary` is TMPDIR; its path is short, as it holds
    sockets. `installed` is the user's own data folder, for tests whose claim is about what is installed there."""

    root: Path
    temporary: Path
    installed: Path
    outside: set[str] = field(default_factory=set)

    @property
    def home(self) -> Path:
        """The user's folder; emosh's data folder lies in it."""
        return self.root / "home"

    @property
    def data(self) -> Path:
        """EMOSH_HOME."""
        return self.home / "emosh"

    @property
    def working(self) -> Path:
        """The working folder of a test that chooses none."""
        return self.root / "cwd"

    def listing(self) -> set[str]:
        """Everything that lies in them, but what libraries keep for themselves."""
        return {
            os.path.join(folder, name)
            for place in (self.home, self.temporary, self.working)
            for folder, folders, files in _walk(place)
            for name in (*folders, *files)
        }

    def watch(self, allowed: Path) -> None:
        """From here on, note what this process writes outside them and `allowed`, until the process ends."""
        numba = os.environ.get("NUMBA_CACHE_DIR", allowed)
        inside = tuple(f"{each}/" for each in (allowed, self.root, self.temporary, numba, "/dev", "/proc"))

        def note(path: Any) -> None:
            if isinstance(path, (str, bytes, os.PathLike)):
                where = os.path.abspath(os.fsdecode(path))
                if not f"{where}/".startswith(inside) and not any(each in where for each in BY_PRODUCTS):
                    self.outside.add(where)

        def hear(event: str, words: tuple[Any, ...]) -> None:
            if event == "open":
                if words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                    note(words[0])
            elif event == "os.mkdir":
                note(words[0])
            elif event in ("os.rename", "os.link", "os.symlink"):
                note(words[1])

        sys.addaudithook(hear)

    def foreign(self) -> list[str]:
        """What was written elsewhere since the last call, and is still there."""
        found = sorted(path for path in self.outside if os.path.lexists(path))
        self.outside.clear()
        return found


def _walk(place: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith(WHILE_IT_LIVES)]
        yield folder, folders, [name for name in files if name != SESSION]
