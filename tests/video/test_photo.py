"""Reading photos: upright, opaque, sRGB."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms
from video_clips import corner_colours, quadrants

from stages.errors import InputError
from stages.video.png import write_png
from stages.video.source import probe, read_frames, read_photo

UPRIGHT = ["red", "green", "blue", "grey"]
TURNS = {
    1: lambda rgb: rgb, 2: lambda rgb: rgb[:, ::-1], 3: lambda rgb: rgb[::-1, ::-1], 4: lambda rgb: rgb[::-1],
    5: lambda rgb: rgb.transpose(1, 0, 2), 6: np.rot90, 7: lambda rgb: rgb[::-1, ::-1].transpose(1, 0, 2),
    8: lambda rgb: np.rot90(rgb, -1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    """Each of the eight EXIF orientations gives the same upright picture, and probe states its upright size."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(np.ascontiguousarray(TURNS[orientation](quadrants()))).save(path, exif=exif)
    rgb = read_photo(path)
    assert corner_colours(rgb) == UPRIGHT
    described = probe(path)
    assert (described.width, described.height) == (64, 32)
    assert described.is_photo
    assert (described.frame_count, described.duration_seconds) == (1, 0.0)


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_transparency_becomes_white(tmp_path, suffix):
    """Transparent pixels of a photo become white; opaque pixels keep their colour."""
    rgba = np.dstack([quadrants(), np.full((32, 64), 255, np.uint8)])
    rgba[:16, :32, 3] = 0
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(rgba).save(path, **({"lossless": True} if suffix == "webp" else {}))
    rgb = read_photo(path)
    assert rgb[4, 4].tolist() == [255, 255, 255]
    assert np.abs(rgb[4, -4].astype(int) - (20, 230, 20)).max() <= 2


def test_half_transparency_is_half_white(tmp_path):
    """Alpha 128 over black gives the grey halfway to white."""
    path = tmp_path / "half.png"
    Image.fromarray(np.broadcast_to(np.array([0, 0, 0, 128], np.uint8), (8, 8, 4)).copy()).save(path)
    assert abs(int(read_photo(path)[0, 0, 0]) - 127) <= 1


def test_sixteen_bit_grey_is_scaled(tmp_path):
    """A sixteen-bit grey PNG keeps its tones instead of clipping to white."""
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(path)
    assert read_photo(path)[0, 0].tolist() == [128, 128, 128]


def test_palette_grey_and_cmyk_photos_become_rgb(tmp_path):
    """Photos of other modes become three channels with the same colours."""
    picture = Image.fromarray(quadrants())
    for name, mode in (("a.png", "P"), ("b.jpg", "CMYK"), ("c.png", "L")):
        picture.convert(mode).save(tmp_path / name)
        assert read_photo(tmp_path / name).shape == (32, 64, 3)
    assert corner_colours(read_photo(tmp_path / "a.png")) == UPRIGHT
    assert corner_colours(read_photo(tmp_path / "b.jpg")) == UPRIGHT


def test_an_embedded_profile_is_converted_to_srgb(tmp_path):
    """Colours stored under another profile are converted, as every viewer shows them."""
    lab = ImageCms.createProfile("sRGB")
    path = tmp_path / "srgb.png"
    Image.fromarray(quadrants()).save(path, icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    assert np.abs(read_photo(path).astype(int) - quadrants()).max() <= 1
    Image.fromarray(quadrants()).save(path, icc_profile=b"no profile at all")
    assert (read_photo(path) == quadrants()).all()


def test_a_photo_is_read_as_one_frame(tmp_path):
    """read_frames on a photo yields exactly its picture at time 0."""
    path = tmp_path / "one.png"
    write_png(path, quadrants())
    (frame,) = read_frames(path)
    assert (frame.rgb == quadrants()).all()
    assert (frame.index, frame.pts_seconds) == (0, 0.0)


def test_a_damaged_photo_is_one_line(tmp_path):
    """The error for a truncated jpg is one line that names the file."""
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.jpg is a damaged picture") as caught:
        read_photo(path)
    assert "\n" not in str(caught.value)


def test_an_animated_webp_is_refused(tmp_path):
    """The error for an animated WebP, which cannot be read, says to convert it to mp4."""
    path = tmp_path / "moving.webp"
    frames = [Image.fromarray(np.roll(quadrants(), shift, 1)) for shift in (0, 9)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"animated WEBP.*convert it to mp4"):
        probe(path)


def test_a_failed_write_leaves_no_picture(tmp_path):
    """write_png into a missing folder is a one-line error and leaves no file."""
    with pytest.raises(InputError, match="does not exist"):
        write_png(tmp_path / "no" / "a.png", quadrants())
    assert list(tmp_path.iterdir()) == []
