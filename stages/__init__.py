"""The stages of emosh: all computations, as plain functions over files and arrays.

No module of this package parses a command line, prints, or exits. Imports go one way:
`emosh_cli -> a stage -> the shared packages (artifacts, video, detect, body, raster)`; no stage imports another.
"""

EMOSH_STAGES = True
"""Lets the command line recognise this package when another `stages` shadows it."""
