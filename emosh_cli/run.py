"""What every command is given: its voice, its settings, and how it ends. Knows no typer and no stage."""

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
    """--config, as given: preset names and TOML files."""
    settings: list[str] = field(default_factory=list)
    """--set, as given: key=value."""
    dry_run: bool = False
    force: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time since the command began."""
        return time.monotonic() - self.started

    def configured(self, section: str, **flags: Any) -> Any:
        """The frozen config of a one-stage command; flags that are None were not given."""
        return self.configured_all((section,), {section: flags})[section]

    def configured_all(self, sections: tuple[str, ...], flags: dict[str, dict[str, Any]] | None = None) -> dict:
        """The frozen configs of several stages, by section. Raises InputError for an unknown key or a wrong type."""
        from emosh_cli.settings import resolve

        return resolve(sections, self.config, self.settings, flags or {})

    def done(self, output: Path | str | None, summary: str = "", **fields: Any) -> None:
        """End well: path on stdout, summary on stderr."""
        self.console.result(output, summary, command=self.name, seconds=round(self.seconds, 2), **fields)

    def planned(self, plan: list[str], **fields: Any) -> None:
        """End a --dry-run or --plan: the plan is the data."""
        self.console.plan(plan, command=self.name, **fields)
