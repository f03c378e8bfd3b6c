"""Commands of two words beside a command of one: `emosh evaluate a.mp4 ...` and `emosh evaluate study RUNS/`.

`@command(app, "evaluate study", STAGES)` registers one, in any file; where the first two words of a command line are
the name of a command, that command runs, and the plain one never sees them. A file that is called like the second
word is named with its folder: `emosh evaluate ./study`.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class Commands(TyperGroup):
    """A group that looks for the longest name first."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """(name, command, arguments left), as the plain group gives it."""
        name = " ".join(args[:2])
        if len(args) > 1 and name in self.commands:
            return super().resolve_command(ctx, [name, *args[2:]])
        return super().resolve_command(ctx, args)
