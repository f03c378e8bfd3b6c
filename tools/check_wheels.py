"""Ask the package index whether every pinned package that emosh needs has a wheel, for each Python and system.

    python tools/check_wheels.py

Run it in an environment with emosh installed: the packages are those that emosh's requirements lead to there, at the
versions of constraints.txt. pip resolves them without installing anything. Prints a line per Python and system, and the
packages without a wheel; exits with 1 if there are any.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {
    "Linux x86_64": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "macOS arm64": ("macosx_14_0_arm64", "macosx_14_0_universal2", "macosx_12_0_arm64", "macosx_11_0_arm64"),
    "Windows x86_64": ("win_amd64",),
}
"""System -> the platform tags that pip may take there."""
CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"


def normal(name: str) -> str:
    """A package's name as the index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed() -> set[str]:
    """The packages that `pip install emosh` brings, by normal names."""
    found, waiting = set(), ["emosh"]
    while waiting:
        name = normal(waiting.pop())
        if name in found:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of another system or Python
        found.add(name)
        waiting += [re.split(r"[^A-Za-z0-9._-]", each)[0] for each in requirements if "extra ==" not in each]
    return found - {"emosh"}


def missing(python: str, platforms: tuple[str, ...], pins: list[str]) -> list[str]:
    """The pins without a wheel."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", python, *(word for each in platforms for word in ("--platform", each))]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--target", folder]
        if subprocess.run([*command, *pins], capture_output=True).returncode == 0:
            return []
        return [pin for pin in pins if subprocess.run([*command, pin], capture_output=True).returncode]


def main() -> None:
    """Check every Python on every system."""
    names = needed()
    pins = [
        line for line in CONSTRAINTS.read_text(encoding="utf-8").split("\n") if normal(line.split("==")[0]) in names
    ]
    unpinned = names - {normal(pin.split("==")[0]) for pin in pins}
    if unpinned:
        print(f"not pinned: {', '.join(sorted(unpinned))}")
    failed = False
    for python in PYTHONS:
        for system, platforms in SYSTEMS.items():
            without = missing(python, platforms, pins)
            failed |= bool(without)
            print(f"Python {python}, {system}: {len(pins)} packages, without a wheel: {', '.join(without) or 'none'}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
