"""The names of Wan-Animate's face modules. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

FACE_MODULES = ("face_adapter.", "face_encoder.", "motion_encoder.")
"""Modules of Wan-Animate's face branch. A folder has all of them or none."""


def has_face(names: Iterable[str]) -> bool:
    """Whether tensors of the face modules are among these names."""
    return any(name.startswith(FACE_MODULES) for name in names)
