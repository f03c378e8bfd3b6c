"""`emosh doctor`: prints what is installed, what is missing, too old or too new, and the command that mends it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from emosh_cli.command import MACHINE, command
from emosh_cli.run import Run
from emosh_cli.terminal import cell, one_line
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workflows.installation import Finding


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "doctor", MACHINE, run_options=False)
    def doctor(run: Run) -> None:
        """Print what is installed, what is missing, too old or too new, and the command that mends it.

        Example: emosh doctor
        """
        from emosh_cli.workflows.installation import examine

        findings = examine()
        if run.console.as_json:
            run.console.data({"findings": [asdict(finding) for finding in findings]})
        else:
            _print(findings)
        lacking = {"missing": "missing", "wrong": "of a wrong version"}
        named = {said: [each.name for each in findings if each.state == state] for state, said in lacking.items()}
        faults = [f"{said}: {', '.join(names)}" for said, names in named.items() if names]
        if faults:
            raise InputError(f"{'; '.join(faults)}; run the commands after -> above")
        run.console.note("everything that emosh needs is installed")


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if os.isatty(1) else 200, highlight=False)
    colours = {"ok": "green", "missing": "bold red", "wrong": "bold red", "optional": "yellow"}
    wide = max(len(finding.name) for finding in findings)
    for finding in findings:
        said = f" {finding.name:{wide}}  {one_line(finding.said)}"
        line = Text.assemble((f"{finding.state:8}", colours[finding.state]), said)
        console.print(line, soft_wrap=True)
        if finding.fix:
            console.print(cell(f"{'':8} {'':{wide}}  -> {finding.fix}"), soft_wrap=True)
