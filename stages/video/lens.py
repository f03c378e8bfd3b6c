"""The focal length that a camera wrote into a photo or a video, in pixels of the upright picture.

Photos: EXIF's focal length of 35 mm film, else the focal length in mm with the resolution of the sensor. Videos: the
35 mm tag of QuickTime files. A photo that was cropped or made smaller no longer fits its tags: it has another shape
than EXIF says, or its sensor would be one that is not made. Its tags are not used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FILM_DIAGONAL_MM = float(np.hypot(36, 24))
QUICKTIME_35MM = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0}
"""EXIF's FocalPlaneResolutionUnit: inch, centimetre, millimetre."""
SAME_SHAPE = 0.02
"""Largest difference of the ratio of the sides, as a share, of a picture that was not cropped."""
SMALLEST_MM, LARGE_MM, COARSE_MM = 4.0, 20.0, 0.0045
"""Diagonal of the smallest sensors; pixels coarser than the third are on sensors with at least the second. A program
that makes a picture smaller writes its new size and keeps the sensor's resolution: the sensor then seems small."""


def metadata_focal_px(path: Path, size: tuple[int, int], is_photo: bool) -> float | None:
    """Focal length in pixels of a picture of this size (upright), or None where the file does not say or is cropped."""
    found = _of_photo(path, size) if is_photo else _of_video(path)
    if found is None:
        return None
    kind, value = found
    return value * float(np.hypot(*size)) / FILM_DIAGONAL_MM if kind == "film" else value


def _of_video(path: Path) -> tuple[str, float] | None:
    from stages.video.container import opened_container

    with opened_container(path, "a video") as container:
        value = _positive(container.metadata.get(QUICKTIME_35MM))
    return None if value is None else ("film", value)


def _of_photo(path: Path, size: tuple[int, int]) -> tuple[str, float] | None:
    from PIL import ExifTags

    from stages.video.photo import camera_tags

    tags = camera_tags(path)
    taken = [_positive(tags.get(tag)) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)]
    width, height = (max(size), min(size))
    if taken[0] and taken[1]:
        shape = max(taken[0], taken[1]) / min(taken[0], taken[1])
        if abs(shape * height / width - 1) > SAME_SHAPE:
            return None
    film = _positive(tags.get(ExifTags.Base.FocalLengthIn35mmFilm))
    if film is not None:
        return "film", film
    focal, dense = (_positive(tags.get(t)) for t in (ExifTags.Base.FocalLength, ExifTags.Base.FocalPlaneXResolution))
    unit = MM_PER_UNIT.get(tags.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
    if focal is None or dense is None or unit is None or not taken[0] or not taken[1]:
        return None
    pixel_mm = unit / dense
    sensor_mm = pixel_mm * float(np.hypot(taken[0], taken[1]))
    if sensor_mm < (LARGE_MM if pixel_mm > COARSE_MM else SMALLEST_MM):
        return None
    return "pixels", focal / pixel_mm * width / max(taken[0], taken[1])


def _positive(value: Any) -> float | None:
    """A tag as a number above 0; None for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if np.isfinite(number) and number > 0 else None
