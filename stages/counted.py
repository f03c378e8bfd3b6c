"""A number and its noun, as people write them: 1 frame, 2 frames."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`noun` is the singular of a noun that gets an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
