"""Damaged files against every reader and command of emosh: `python -m tests.fuzz`."""
