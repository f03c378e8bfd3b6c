"""Focal lengths from the metadata of photos and videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from stages.video.lens import FILM_DIAGONAL_MM, QUICKTIME_35MM, metadata_focal_px

SIZE = (400, 300)
DIAGONAL = float(np.hypot(*SIZE))
TAGS = ExifTags.Base


def photo(path: Path, tags: dict[int, object], size: tuple[int, int] = SIZE) -> Path:
    """A JPEG with these EXIF tags."""
    image, exif = Image.new("RGB", size), Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(tags)
    image.save(path, exif=exif)
    return path


def test_film_equivalent_and_sensor_resolution(tmp_path: Path) -> None:
    """26 mm of 35 mm film; 5 mm on a sensor of 4,000 pixels per centimetre, in a photo of fewer pixels."""
    film = photo(tmp_path / "a.jpg", {TAGS.FocalLengthIn35mmFilm: 26})
    assert metadata_focal_px(film, SIZE, True) == pytest.approx(26 * DIAGONAL / FILM_DIAGONAL_MM)
    taken = {TAGS.ExifImageWidth: 1600, TAGS.ExifImageHeight: 1200}
    sensor = {TAGS.FocalLength: 5.0, TAGS.FocalPlaneXResolution: 4000.0, TAGS.FocalPlaneResolutionUnit: 3}
    assert metadata_focal_px(photo(tmp_path / "b.jpg", {**sensor, **taken}), SIZE, True) == pytest.approx(500)


def test_what_is_not_known_is_none(tmp_path: Path) -> None:
    """No tags, a focal length of 0, a photo that was cropped to another shape. A photo that was turned is used."""
    assert metadata_focal_px(photo(tmp_path / "none.jpg", {}), SIZE, True) is None
    assert metadata_focal_px(photo(tmp_path / "zero.jpg", {TAGS.FocalLengthIn35mmFilm: 0}), SIZE, True) is None
    tags: dict[int, object] = {TAGS.FocalLengthIn35mmFilm: 26, TAGS.ExifImageWidth: 4000, TAGS.ExifImageHeight: 3000}
    assert metadata_focal_px(photo(tmp_path / "square.jpg", tags, (300, 300)), (300, 300), True) is None
    assert metadata_focal_px(photo(tmp_path / "turned.jpg", tags, (300, 400)), (300, 400), True) is not None


def test_a_sensor_that_is_not_made_is_none(tmp_path: Path) -> None:
    """A program made a photo of 5760 x 3840 smaller, wrote the new size and kept the sensor's 160 pixels per mm: a
    whole sensor of 36 mm gives the focal length, one of 6 or 1.5 mm does not."""
    sensor = {TAGS.FocalLength: 85.0, TAGS.FocalPlaneXResolution: 160.0, TAGS.FocalPlaneResolutionUnit: 4}
    for size, known in (((5760, 3840), True), ((960, 640), False), ((240, 160), False)):
        taken = dict(zip((TAGS.ExifImageWidth, TAGS.ExifImageHeight), size, strict=True))
        found = metadata_focal_px(photo(tmp_path / f"{size[0]}.jpg", {**sensor, **taken}, (240, 160)), (240, 160), True)
        assert found == (pytest.approx(85 * 160 * 240 / 5760) if known else None)


def test_quicktime_tag_of_a_video(tmp_path: Path) -> None:
    """The 35 mm tag of a phone's video; a video without it says nothing."""
    import av

    for name, tags in (("phone.mov", {QUICKTIME_35MM: "28"}), ("plain.mov", {})):
        with av.open(str(tmp_path / name), "w", options={"movflags": "use_metadata_tags"}) as out:
            out.metadata.update(tags)
            stream = out.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(2):
                frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    assert metadata_focal_px(tmp_path / "phone.mov", (64, 48), False) == pytest.approx(28 * 80 / FILM_DIAGONAL_MM)
    assert metadata_focal_px(tmp_path / "plain.mov", (64, 48), False) is None
