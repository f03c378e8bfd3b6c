"""constraints.txt pins what pyproject.toml asks for. `tools/check_wheels.py` asks the index for the pins' wheels."""

from __future__ import annotations

from pathlib import Path

import pytest

from emosh_cli.settings import read_pyproject
from emosh_cli.workflows.installation import NAME, PYTHONS, _misfit

ROOT = Path(__file__).parents[1]
PROJECT = read_pyproject(ROOT / "pyproject.toml")["project"]
PINS = {
    line.split("==")[0].lower().replace("_", "-"): line.split("==")[1]
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
}


@pytest.mark.parametrize("requirement", PROJECT["dependencies"])
def test_every_requirement_is_pinned_within_its_range(requirement: str) -> None:
    """Each package that emosh needs has one pin, and the pin meets the requirement."""
    name = NAME.match(requirement)
    assert name is not None
    version = PINS[name[0].lower().replace("_", "-")]
    assert _misfit(version, requirement[len(name[0]) :]) is None


def test_nothing_that_reports_usage_is_pinned() -> None:
    """onnxruntime is older than 1.29, mediapipe is not needed, and only one package brings OpenCV."""
    assert _misfit(PINS["onnxruntime"], "<1.29") is None
    assert "mediapipe" not in PINS
    assert [name for name in PINS if name.startswith("opencv")] == ["opencv-python-headless"]


def test_doctor_and_the_project_name_the_same_pythons() -> None:
    """`requires-python` is the range that doctor accepts."""
    (_, oldest), (_, newest) = PYTHONS
    assert PROJECT["requires-python"] == f">=3.{oldest},<3.{newest + 1}"
