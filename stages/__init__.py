"""emosh's stages: what is computed, as plain functions over files and arrays.

Nothing below this package parses a command line, prints, or exits. Arrows point one way:
`emosh_cli -> a stage -> the shared rooms (artifacts, video, detect, body, raster)`; no stage imports another.
"""

EMOSH_STAGES = True
"""Lets the command line recognise this package when another `stages` shadows it."""
