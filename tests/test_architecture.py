"""The rules of the house hold, and the check that keeps them fails when one is broken."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLANTED = {
    "emosh_cli/commands/retarget.py": "from emosh_cli.commands import track as planted",
    "emosh_cli/workflows/tracking.py": "import typer as planted",
    "emosh_cli/workers/local.py": "from emosh_cli.workflows import tracking as planted",
    "stages/video/source.py": "from stages.video import sink as planted",
    "stages/retarget/report.py": "from stages.track import summary as planted",
}
"""File -> a line that breaks a rule; stages/video/sink.py reads source.py, so the fourth makes a circle."""
RULES = (
    "no command imports another command",
    "only the command line's frame and its commands know typer",
    "commands call workflows, workflows call workers",
    "no import circles",
    "no stage imports another",
)


def verdicts(folder: Path) -> dict[str, str]:
    """Contract -> KEPT or BROKEN, of the packages in a folder."""
    finished = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"],
        cwd=folder, env={"PYTHONPATH": str(folder), "COLUMNS": "200"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = dict(re.findall(r"^(.+?) (KEPT|BROKEN)", finished.stdout, re.MULTILINE))
    assert found, finished.stdout + finished.stderr
    return found


def test_a_broken_rule_is_found(tmp_path: Path) -> None:
    """In a copy with one line planted for each rule, each rule is reported as broken; here, none is."""
    for name in ("emosh_cli", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert set(verdicts(tmp_path).values()) == {"KEPT"}
    for name, line in PLANTED.items():
        path = tmp_path / name
        assert "from __future__ import annotations\n" in path.read_text(), name
        path.write_text(
            path.read_text().replace(
                "from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n", 1
            )
        )
    broken = [name for name, verdict in verdicts(tmp_path).items() if verdict == "BROKEN"]
    for rule in RULES:
        assert any(name.startswith(rule) for name in broken), (rule, broken)


def test_the_map_is_the_house() -> None:
    """The picture of the rooms is the one that the imports give today: `make docs-map` draws it again."""
    spec = importlib.util.spec_from_file_location("make_map", ROOT / "docs" / "make_map.py")
    assert spec is not None
    assert spec.loader is not None
    make_map = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_map)
    assert make_map.OUT.read_text(encoding="utf-8") == make_map.picture()
