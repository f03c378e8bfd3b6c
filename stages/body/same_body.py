"""Check that a motion was fitted on the body file in use; poses are valid on that body only."""

from __future__ import annotations

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.errors import InputError


def require_same_body(role: str, motion: Motion, body: Body) -> None:
    """Raises InputError for a motion that was fitted on another body file; it names `role` and both bodies."""
    if motion.body_sha256 != body.sha256:
        raise InputError(
            f"the {role} was fitted on body '{motion.body_model}' ({motion.body_sha256[:12]}), but body "
            f"'{body.name}' ({body.sha256[:12]}) is in use; track it again with --body {body.name}"
        )
