"""Which frames of a clip are looked at where not all are."""

from __future__ import annotations


def evenly(total: int, count: int) -> list[int]:
    """`count` of `total` frame numbers, the middles of equal parts, each once; all where there are no more."""
    if count >= total:
        return list(range(total))
    return [int((index + 0.5) * total / count) for index in range(count)]
