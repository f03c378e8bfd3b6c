"""Names that settings use: drawings that models here read, and cameras of a result. Imports nothing heavy."""

from __future__ import annotations

AUTO, MESH, SKELETON = "auto", "mesh", "skeleton"
READABLE = (MESH, SKELETON)
"""Drawings that a model here can read: the mesh with an adapter, the skeleton with Wan-Animate's own weights."""
REF, DRIVE = FRAMINGS = ("ref", "drive")
"""Cameras of a result: that of the photo, and that of the driving video."""
DRIVER, STILL = CAMERAS = ("driver", "still")
"""Cameras of a condition map: the driver's, and that camera as if it had not moved."""
