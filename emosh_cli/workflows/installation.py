"""Finds what is installed, what is missing, and the command that adds it. Imports nothing heavy."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from stages.cores import usable_cores

MIN_FREE_GB = 2.0
EXTRAS = {
    "c2pa-python": ("sign", "emosh sign"),
    "onnxruntime": ("onnx", "--detector dwpose, an ONNX ArcFace in evaluate"),
    "rerun-sdk": ("view", "emosh view"),
    "ray": ("ray", "emosh curate --engine ray"),
    "gguf": ("gguf", "emosh generate --model FILE.gguf"),
}
"""Package -> (the extra of emosh that installs it, what it is for)."""
NAME = re.compile(r"^[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Finding:
    """One line of `emosh doctor`. `state` is ok, missing (emosh needs it) or optional (one feature needs it)."""

    name: str
    state: str
    said: str
    fix: str = ""


def examine() -> list[Finding]:
    """All findings, in the order in which they are printed."""
    return [_python(), *_packages(), *_optional_packages(), _body(), *_models(), _gpu(), *_disks(), _memory()]


def _python() -> Finding:
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {usable_cores()} cores"
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Finding("python", "ok", system)
    return Finding("python", "missing", system, "make a virtual environment with Python 3.11 or 3.12")


def _packages() -> list[Finding]:
    found = []
    for requirement in _requirements():
        name, _, marker = requirement.partition(";")
        if "extra ==" in marker or (marker and "python_version" in marker and sys.version_info >= (3, 11)):
            continue
        found.append(_package(name.strip()))
    return found


def _package(requirement: str) -> Finding:
    name = NAME.match(requirement)
    assert name is not None
    wanted = requirement.replace(" ", "")
    try:
        version = metadata.version(name[0])
    except metadata.PackageNotFoundError:
        return Finding(name[0], "missing", "not installed", f'pip install "{wanted}"')
    if not _satisfies(version, wanted[len(name[0]) :]):
        return Finding(name[0], "missing", f"{version}, needs {wanted}", f'pip install "{wanted}"')
    return Finding(name[0], "ok", version)


def _satisfies(version: str, wanted: str) -> bool:
    """Whether a version meets a requirement made of ==, >= and <, the only comparisons that emosh uses."""
    have = _numbers(version)
    for part in filter(None, wanted.strip("()").split(",")):
        match = re.fullmatch(r"(==|>=|<)([0-9.]+)", part)
        if match is None:
            continue
        limit = _numbers(match[2])
        if not {"==": have == limit, ">=": have >= limit, "<": have < limit}[match[1]]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"[0-9.]+", version)
    assert match is not None
    parts = [int(part) for part in match[0].strip(".").split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _requirements() -> list[str]:
    """emosh's own requirements, from the installed package or from the checkout's pyproject.toml."""
    try:
        return metadata.requires("emosh") or []
    except metadata.PackageNotFoundError:
        from emosh_cli.settings import read_pyproject

        return read_pyproject(Path(__file__).parents[1] / "pyproject.toml")["project"]["dependencies"]


def _optional_packages() -> list[Finding]:
    clone = 'pip install --no-build-isolation "git+https://github.com/facebookresearch/pytorch3d.git@stable"'
    found = [_optional_package("pytorch3d", "another rasteriser, not required", clone)]
    return found + [
        _optional_package(name, purpose, f'pip install "emosh[{extra}]"') for name, (extra, purpose) in EXTRAS.items()
    ]


def _optional_package(name: str, purpose: str, fix: str) -> Finding:
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, "optional", f"not installed: {purpose}", fix)


def _body() -> Finding:
    from stages.body.store import body_path

    path = body_path("open")
    if path.exists():
        return Finding("body open", "ok", str(path))
    return Finding(
        "body open", "optional", "not baked yet: the first run bakes it (under a minute)", "emosh models bake open"
    )


def _models() -> list[Finding]:
    from emosh_cli.workflows.model_files import MODEL_FILES, installed_path, is_installed

    found = []
    for entry in MODEL_FILES[1:]:
        there = is_installed(entry)
        state = str(installed_path(entry)) if there else f"not installed: {entry.purpose}"
        found.append(Finding(f"model {entry.name}", "ok" if there else "optional", state, "" if there else entry.how))
    return found


def _gpu() -> Finding:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding("gpu", "optional", "none found: emosh runs on the CPU")
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return Finding("gpu", "optional", "nvidia-smi is installed but does not answer")
    return Finding("gpu", "ok", "; ".join(answer.splitlines()))


def _disks() -> list[Finding]:
    from stages.body.store import home

    return [_disk("disk of emosh's home", home()), _disk("disk of this folder", Path.cwd())]


def _disk(name: str, path: Path) -> Finding:
    there = next(each for each in (path, *path.resolve().parents) if each.exists())
    free = shutil.disk_usage(there).free / 1e9
    if free < MIN_FREE_GB:
        return Finding(name, "missing", f"{free:.1f} GB free at {path}", f"free at least {MIN_FREE_GB:.0f} GB")
    return Finding(name, "ok", f"{free:.0f} GB free at {path}")


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return Finding("memory", "ok", "size unknown on this system")
    return Finding("memory", "ok", f"{total:.0f} GB")
