"""A data folder with nothing but the open body, for commands that install something, or use what is installed."""

from __future__ import annotations

import os
from pathlib import Path


def own_home(home: Path) -> None:
    """Make the folder and let EMOSH_HOME name it; the body is linked, and baked first where there is none."""
    from stages.body.store import open_body

    baked = open_body("open").path.resolve()
    (home / "bodies").mkdir(parents=True)
    (home / "bodies" / baked.name).symlink_to(baked)
    os.environ["EMOSH_HOME"] = str(home)
