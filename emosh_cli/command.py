"""Registers commands, and handles their errors.

`command` registers a function whose first parameter is a `Run`. It adds the options that mean the same in every command
to the function's signature.
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
from emosh_cli.errors import BUG, message_of
from emosh_cli.outputs import PIPE
from emosh_cli.run import Run
from emosh_cli.subcommands import Command
from emosh_cli.terminal import visible
from stages.artifacts.names import checked_utf8

TORCHRUN_COMMANDS = ("generate", "animate")
"""Commands that can run on several processes of torchrun."""
STAGES, PIPELINE, FILES, MACHINE = "One stage", "The whole pipeline", "Files", "This machine"
"""Panels of `emosh --help`."""


def command(app: typer.Typer, name: str, panel: str, run_options: bool = True) -> Callable[[Callable[..., None]], Any]:
    """Register `function(run, ...)`. With `run_options`, it takes --config, --set, --dry-run and --force as well."""
    shared = {**(options.RUN_OPTIONS if run_options else {}), **options.CONSOLE_OPTIONS}

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        added = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for key, (annotation, default) in shared.items()
        ]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]

        @functools.wraps(function)
        def invoke(**values: Any) -> None:
            _invoke(name, function, {key: values.pop(key) for key in shared}, values)

        invoke.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
        app.command(name, cls=Command, rich_help_panel=panel)(invoke)
        return function

    return register


def _invoke(name: str, function: Callable[..., None], shared: dict[str, Any], own: dict[str, Any]) -> None:
    with NativeSilence() as silence:
        console = Console(shared.pop("quiet"), shared.pop("as_json"), silence.stderr)
        run = Run(name, console, **shared)
        try:
            _check_names({**own, "config": run.config, "settings": run.settings})
            _run_or_help(run, functools.partial(function, run, **own))
        except (typer.Exit, typer.TyperException):
            raise
        except BrokenPipeError:
            raise  # the reader of stdout closed the pipe; main() exits without a message
        except (Exception, KeyboardInterrupt) as error:
            message = message_of(error)
            if debugging():
                console.stderr.write(visible(traceback.format_exc()))
            console.error(message.text, message.code)
            if message.code != BUG:
                silence.stay()
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


def _run_or_help(run: Run, work: Callable[[], None]) -> None:
    """Do the work. Under torchrun the first process does it, and the others compute parts of the diffusion model."""
    if run.name not in TORCHRUN_COMMANDS or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        work()
        return
    from stages.generate.wan.model_weights import run_helper
    from stages.wan.context_parallel import helpers_held_ready, is_helper

    if is_helper():
        run_helper()
        return
    with helpers_held_ready():
        work()
