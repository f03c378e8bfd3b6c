"""Run by `make wheel`: the built wheel holds both packages, the presets and the licence, and nothing else."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ALLOWED = ("emosh_cli/", "stages/", "emosh-")
KINDS = (".py", ".toml", ".html", ".onnx")
NEEDED = ("emosh_cli/app.py", "stages/__init__.py", "stages/body/model.py", "licenses/LICENSE", "entry_points.txt")


def main(folder: str) -> None:
    """Exit with a sentence when the newest wheel in `folder` lacks something or carries too much."""
    wheel = max(Path(folder).glob("emosh-*.whl"), key=lambda path: path.stat().st_mtime)
    names = zipfile.ZipFile(wheel).namelist()
    foreign = [name for name in names if not name.startswith(ALLOWED)]
    missing = [name for name in NEEDED if not any(entry.endswith(name) for entry in names)]
    data = [name for name in names if name.startswith(("emosh_cli/", "stages/")) and not name.endswith(KINDS)]
    problems = (
        [f"foreign: {foreign}"] * bool(foreign)
        + [f"missing: {missing}"] * bool(missing)
        + [f"data: {data}"] * bool(data)
    )
    if problems:
        sys.exit(f"{wheel.name}: " + "; ".join(problems))
    print(f"{wheel}: {len(names)} files, {wheel.stat().st_size / 1024:.0f} KiB, contents as expected")


if __name__ == "__main__":
    main(sys.argv[1])
