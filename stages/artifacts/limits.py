"""Bounds of values that several artifacts hold; a file beyond them is damaged, or made to do harm."""

MAX_FPS = 1000
"""Frame rates are below it."""
MAX_SIDE_PX = 16384
"""Longest side of a picture."""
LONG_SECONDS = 30 * 24 * 3600.0
"""No clip is longer, and no time in it later."""
MAX_FRAMES = 50_000_000
"""More frames than any video has: 19 days at 30 per second."""
