"""The `emosh` command: registers the commands, and ends every error with one line and an exit code.

Nothing heavy is imported here; `emosh --help` must answer in under 0.4 s.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

EPILOG = "Start with: emosh animate --ref photo.png --drive video.mp4 -o out.mp4. Something missing? emosh doctor"


def main() -> NoReturn:
    """Run the command line and exit: 0 success, 2 an error that the user can fix, 130 Ctrl-C, 1 a bug."""
    _refuse_foreign_stages()
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    try:
        code = build()(standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        code = _print_usage_error(error)
    except typer.Abort:
        code = 130
    except BrokenPipeError:  # the reader of stdout closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except (Exception, KeyboardInterrupt) as error:
        code = _print_unexpected_error(error)
    code = code if isinstance(code, int) else 0
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _exit_without_cleanup(code)
    sys.exit(code)


def _exit_without_cleanup(code: int) -> NoReturn:
    """End a process of torchrun without the interpreter's shutdown.

    During shutdown a gloo thread that still holds a tensor can abort (torch 2.13; 1 of 8 runs on a busy machine), and
    torchrun then reports a finished run as failed.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def build() -> typer.Typer:
    """The application with every command."""
    from emosh_cli import commands
    from emosh_cli.subcommands import Group

    app = typer.Typer(
        name="emosh",
        cls=Group,
        rich_markup_mode="rich",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(epilog=EPILOG)(_root)
    commands.register(app)
    return app


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=lambda on: _print_version(on)
        ),
    ] = False,
) -> None:
    """Animate the person in a photo with the motion of a person in a video, face and fingers included.

    The person keeps their own body shape. Each stage writes a file that you can inspect, edit and reuse.
    """


def _print_version(requested: bool) -> None:
    if not requested:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(f"emosh {version('emosh')}")
    except PackageNotFoundError:
        from stages.artifacts.provenance import VERSION

        typer.echo(f"emosh {VERSION} (running from a checkout)")
    raise typer.Exit


def _refuse_foreign_stages() -> None:
    """Exit with an error if another package called `stages` hides emosh's own."""
    import stages

    if getattr(stages, "EMOSH_STAGES", False) is True:
        return
    where = getattr(stages, "__file__", None) or next(iter(getattr(stages, "__path__", [])), "somewhere")
    sys.stderr.write(
        f"emosh: another Python package called 'stages' hides emosh's own: {where!a}; "
        "run emosh from another folder, or remove the other package from PYTHONPATH\n"
    )
    sys.exit(2)


def _print_usage_error(error: typer.TyperException) -> int:
    """Print one line about a wrong flag or a missing argument. Returns the exit code."""
    from emosh_cli.terminal import one_line

    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "emosh"
    if text:
        sys.stderr.write(f"emosh: {one_line(text.rstrip('.'))}; see: {where} --help\n")
    return 2


def _print_unexpected_error(error: BaseException) -> int:
    """Print one line about an exception outside of a command. Returns the exit code."""
    from emosh_cli.console import debugging
    from emosh_cli.errors import message_of
    from emosh_cli.terminal import one_line, visible

    if debugging():
        import traceback

        sys.stderr.write(visible(traceback.format_exc()))
    message = message_of(error)
    sys.stderr.write(f"emosh: {one_line(message.text)}\n")
    return message.code


def _exit_on_sigterm(number: int, frame: FrameType | None) -> NoReturn:
    """Exit through the stack, as for Ctrl-C, so that half-written files are removed."""
    raise SystemExit(128 + number)
