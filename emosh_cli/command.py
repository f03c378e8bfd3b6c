"""How a command is registered, and how it ends.

`command` registers a function whose first parameter is a `Run`; the options that mean the same everywhere are added
to its signature here, so that no command can spell one differently.
"""

from __future__ import annotations

import functools
import inspect
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from emosh_cli import options
from emosh_cli.console import Console, NativeSilence, debugging
from emosh_cli.errors import message_of
from emosh_cli.outputs import PIPE
from emosh_cli.run import Run
from emosh_cli.subcommands import Command
from emosh_cli.terminal import visible
from stages.artifacts.names import checked_utf8

TOGETHER = ("generate", "animate")
"""Commands that several processes of torchrun share."""
STAGES, CHAINS, FILES, MACHINE = "One stage", "Chains of stages", "Files", "This machine"
"""Panels of `emosh --help`."""


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
        app.command(name, cls=Command, rich_help_panel=panel)(invoke)
        return function

    return register


def _invoke(name: str, function: Callable[..., None], shared: dict[str, Any], own: dict[str, Any]) -> None:
    with NativeSilence() as silence:
        console = Console(shared.pop("quiet"), shared.pop("as_json"), silence.talk)
        run = Run(name, console, **shared)
        try:
            _check_names({**own, "config": run.config, "settings": run.settings})
            _alone_or_together(run, functools.partial(function, run, **own))
        except (typer.Exit, typer.TyperException):
            raise
        except BrokenPipeError:
            raise  # the reader of our stdout has gone; main() ends quietly
        except (Exception, KeyboardInterrupt) as error:
            message = message_of(error)
            if debugging():
                console.talk.write(visible(traceback.format_exc()))
            console.error(message.text, message.code)
            raise typer.Exit(message.code) from error
        finally:
            console.close()


def _check_names(given: Any) -> None:
    """Refuse paths that are no UTF-8, before any work: theirs, or that of the folder they lie in."""
    for value in given.values():
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, Path) and each != PIPE:
                checked_utf8(each.absolute())
            elif isinstance(each, str):
                checked_utf8(each)


def _alone_or_together(run: Run, work: Callable[[], None]) -> None:
    """Under torchrun the first process does the work, and the others help it with the diffusion model."""
    if run.name not in TOGETHER or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        work()
        return
    from stages.generate.wan.model_weights import run_helper
    from stages.wan.context_parallel import helpers_held_ready, is_helper

    if is_helper():
        run_helper()
        return
    with helpers_held_ready():
        work()
