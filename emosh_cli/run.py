"""One invocation of a command: its voice, its options, and how it ends.

`command` registers a function whose first parameter is a `Run`; the options that mean the same everywhere are added
to its signature here, so that no command can spell one differently.
"""

from __future__ import annotations

import functools
import inspect
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import typer

from emosh_cli import options
from emosh_cli.console import Console, NativeSilence, debugging
from emosh_cli.sentences import sentence

TOGETHER = ("generate", "animate")
"""Commands that several processes of torchrun share."""
STAGES, CHAINS, FILES, MACHINE = "One stage", "Chains of stages", "Files", "This machine"
"""Panels of `emosh --help`."""

T = TypeVar("T")


@dataclass
class Run:
    """What every command is given."""

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
        """The frozen configs of a chain, by section. Raises InputError for an unknown key or a wrong type."""
        from emosh_cli.config import resolve

        return resolve(sections, self.config, self.settings, flags or {})

    def done(self, output: Path | str | None, summary: str = "", **fields: Any) -> None:
        """End well: path on stdout, summary on stderr."""
        self.console.result(output, summary, command=self.name, seconds=round(self.seconds, 2), **fields)

    def planned(self, plan: list[str], **fields: Any) -> None:
        """End a --dry-run: the plan is the data."""
        if self.console.as_json:
            self.console.data({"command": self.name, "plan": plan, **fields})
        else:
            typer.echo("\n".join(plan))


def command(app: typer.Typer, name: str, panel: str, works: bool = True) -> Callable[[Callable[..., None]], Any]:
    """Register `function(run, ...)`. With `works`, it takes --config, --set, --dry-run and --force as well."""
    shared = {**(options.WORK if works else {}), **options.TALK}

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        added = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for key, (annotation, default) in shared.items()
        ]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]

        @functools.wraps(function)
        def invoke(**given: Any) -> None:
            _invoke(name, function, {key: given.pop(key) for key in shared}, given)

        invoke.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
        app.command(name, rich_help_panel=panel)(invoke)
        return function

    return register


def _invoke(name: str, function: Callable[..., None], shared: dict[str, Any], own: dict[str, Any]) -> None:
    with NativeSilence() as silence:
        console = Console(shared.pop("quiet"), shared.pop("as_json"), silence.talk)
        run = Run(name, console, **shared)
        try:
            _alone_or_together(run, functools.partial(function, run, **own))
        except (typer.Exit, typer.TyperException):
            raise
        except BrokenPipeError:
            raise  # whoever read our stdout has gone; main() ends quietly
        except (Exception, KeyboardInterrupt) as error:
            said = sentence(error)
            if debugging():
                traceback.print_exc(file=console.talk)
            console.error(said.text, said.code)
            raise typer.Exit(said.code) from error
        finally:
            console.close()


def _alone_or_together(run: Run, work: Callable[[], None]) -> None:
    """Under torchrun the first process does the work, and the others help it with the diffusion model."""
    if run.name not in TOGETHER or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        work()
        return
    from stages.generate.wan.source import help_out
    from stages.wan.ranks import company, is_helper

    if is_helper():
        help_out()
        return
    with company():
        work()
