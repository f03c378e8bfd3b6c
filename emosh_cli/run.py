"""What every command gets: console, settings, and the functions that end it. Knows no typer and no stage."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emosh_cli.console import Console


@dataclass
class Run:
    """One invocation of a command."""

    name: str
    console: Console
    config: list[str] = field(default_factory=list)
    """Values of --config: preset names and TOML files."""
    settings: list[str] = field(default_factory=list)
    """Values of --set: key=value."""
    dry_run: bool = False
    force: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time since the command began."""
        return time.monotonic() - self.started

    def load_config(self, section: str, **flags: Any) -> Any:
        """The frozen config of one section. A flag that is None was not set."""
        return self.load_configs((section,), {section: flags})[section]

    def load_configs(self, sections: tuple[str, ...], flags: dict[str, dict[str, Any]] | None = None) -> dict:
        """The frozen configs of several sections, by section. Raises InputError for an unknown key or a wrong type."""
        from emosh_cli.settings import resolve

        return resolve(sections, self.config, self.settings, flags or {})

    def done(self, output: Path | str | None, summary: str = "", **fields: Any) -> None:
        """End a run that worked: the path on stdout, the summary on stderr."""
        self.console.result(output, summary, command=self.name, seconds=round(self.seconds, 2), **fields)

    def show_plan(self, plan: list[str], **fields: Any) -> None:
        """End a --dry-run or --plan: the plan on stdout."""
        self.console.plan(plan, command=self.name, **fields)
