"""Poses mean something only on the body file they were fitted on."""

from __future__ import annotations

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.errors import InputError


def require_same_body(role: str, motion: Motion, body: Body) -> None:
    """Refuse a motion fitted on another body file. Raises InputError naming `role`, both bodies, and what to do."""
    if motion.body_sha256 != body.sha256:
        raise InputError(
            f"the {role} was fitted on body '{motion.body_model}' ({motion.body_sha256[:12]}), but body "
            f"'{body.name}' ({body.sha256[:12]}) is in use; track it again with --body {body.name}"
        )
