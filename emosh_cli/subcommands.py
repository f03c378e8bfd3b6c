"""Groups and commands as emosh wants them: commands of two words, and help pages without a type behind a switch.

`@command(app, "evaluate study", STAGES)` registers a command of two words beside `evaluate`, in any file. Where the
first two words of a command line are the name of a command, that command runs. A file that is called like the second
word is named with its folder: `emosh evaluate ./study`.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class _WithoutSwitchTypes:
    """Leaves out `<bool>` behind switches such as --force."""

    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_bool_flag", False):
                param.metavar = ""
        return params


class Command(_WithoutSwitchTypes, TyperCommand):
    """One command."""


class Group(_WithoutSwitchTypes, TyperGroup):
    """A group that looks for the longest name first."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """(name, command, arguments left), as the plain group gives it."""
        name = " ".join(args[:2])
        if len(args) > 1 and name in self.commands:
            return super().resolve_command(ctx, [name, *args[2:]])
        return super().resolve_command(ctx, args)
