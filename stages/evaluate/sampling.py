"""Which frames of a clip are measured when not all of them are."""

from __future__ import annotations


def evenly_spaced(total: int, count: int) -> list[int]:
    """`count` different frame numbers of `total`, the middles of equal parts; all of them if there are no more."""
    if count >= total:
        return list(range(total))
    return [int((index + 0.5) * total / count) for index in range(count)]
