"""Typer classes of emosh: they allow commands of two words, and hide the type of switches in help pages.

`@command(app, "evaluate study", STAGES)` registers a command of two words beside `evaluate`, in any file. If the first
two words of a command line are the name of a command, that command runs. To pass a file named `study` to `evaluate`,
write its folder too: `emosh evaluate ./study`.
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
    """A group that tries a name of two words before a name of one word."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """(name, command, remaining arguments), as in the base class."""
        name = " ".join(args[:2])
        if len(args) > 1 and name in self.commands:
            return super().resolve_command(ctx, [name, *args[2:]])
        return super().resolve_command(ctx, args)
