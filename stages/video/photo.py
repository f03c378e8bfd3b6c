"""Read still pictures as upright, opaque sRGB with 8 bits. Does not know clips."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.regular_file import require_regular_file
from stages.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "GIF")
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"hevc", b"hevx"}
"""File types (ISO/IEC 23008-12) of the HEIC and HEIF photos that phones write. AVIF, a relative, is read by Pillow."""
MAX_SIDE = 16_384
"""Longest side of a picture, pixels."""
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
          RuntimeError, NotImplementedError, ZeroDivisionError, struct.error, zlib.error)  # fmt: skip
"""What Pillow and its plugins raise on damaged pictures, in opening, in EXIF and in decoding."""
CLIP_FORMATS = ("GIF", "PNG")
"""Formats whose files are clips if they hold several pictures. Further pictures in an MPO or TIFF are not a clip."""


def photo_size(path: Path) -> tuple[int, int] | None:
    """Upright (width, height) of a still picture, or None when the file is not a still picture.

    An animated GIF or PNG is a clip, so it gives None. Raises InputError for an animated WebP or AVIF, which the
    video library cannot read, and for a picture too large to open.
    """
    with _damage_named(path):
        image = _open_still(path)
        if image is None:
            return None
        with image:
            return _upright(image).size  # pyright: ignore[reportReturnType]


def read_photo(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """RGB of a still picture: EXIF orientation applied, transparency put on white, embedded profile converted to sRGB.

    Raises InputError when the file is missing, damaged or not a still picture.
    """
    path = require_regular_file(path, "give a photo")
    with _damage_named(path):
        image = _open_still(path)
        if image is None:
            raise InputError(
                f"{path} is not a photo that can be read; give a jpg, png, heic, webp, bmp, tiff, avif or still gif"
            )
        with image:
            return np.asarray(_opaque_rgb(_srgb(_eight_bits(path, _upright(image)))))


def camera_tags(path: Path) -> dict[int, Any]:
    """EXIF's tags of the camera, by number; none for a picture whose EXIF is damaged."""
    from PIL import ExifTags

    try:
        image = _open_still(path)
        if image is None:
            return {}
        with image:
            return dict(image.getexif().get_ifd(ExifTags.IFD.Exif))
    except DAMAGE:
        return {}


def comment_of(path: Path) -> str | None:
    """The text `comment` that a picture carries before its pixels; None without one, or for another file than a still.

    Raises InputError for a damaged picture.
    """
    with _damage_named(path):
        image = _open_still(path)
        if image is None:
            return None
        with image:
            comment = image.info.get("comment")
            return comment if isinstance(comment, str) else None


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn everything that a picture can make Pillow raise into an InputError that names the file."""
    from PIL import Image

    try:
        yield
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is larger than 178 megapixels; make it smaller first") from error
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise InputError(f"{path} is a damaged picture ({reason}); save or download it again") from error


def _open_still(path: Path) -> Image | None:
    """The opened picture, or None for a file that is not a picture or is a clip."""
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a bomb of fewer pixels than the limit, odd EXIF
            image = Image.open(path, formats=_heif_format() if _is_heif(path) else PHOTO_FORMATS)
    except UnidentifiedImageError:
        return None
    if max(image.size) > MAX_SIDE:
        image.close()
        raise InputError(f"{path} is {image.width}x{image.height}, longer than {MAX_SIDE}; make it smaller first")
    if getattr(image, "n_frames", 1) > 1:
        if image.format in CLIP_FORMATS:
            image.close()
            return None
        if image.format in ("WEBP", "AVIF"):
            image.close()
            raise InputError(f"{path} is an animated {image.format}, which cannot be read; convert it to mp4 or gif")
    return image


def _is_heif(path: Path) -> bool:
    """Whether the first box says so. AVIF may call itself `mif1` too, and adds its own brand."""
    with path.open("rb") as file:
        size, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        brands = file.read(min(max(size - 8, 0), 256))
    return kind == b"ftyp" and brands[:4] in HEIF_BRANDS and b"avif" not in brands and b"avis" not in brands


def _heif_format() -> tuple[str]:
    """The name that Pillow knows HEIF by, once the package that decodes it is loaded."""
    import pi_heif

    pi_heif.register_heif_opener()
    return ("HEIF",)


def _orientation(image: Image) -> int:
    from PIL import ExifTags

    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) else 1


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if _orientation(image) != 1 else image


def _eight_bits(path: Path, image: Image) -> Image:
    """Integers of 16 and 32 bits and floats scaled to 8 bits; Pillow would clip them.

    White is the largest value of the smallest range that holds all values: 1 (floats), 255, 65535, 2**32 - 1; where
    values are negative, their own range is stretched.
    """
    from PIL import Image as Images

    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Images.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8))
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise InputError(f"{path} holds values that are not finite; save it as PNG")
    ranges = ((1,) if image.mode == "F" else ()) + (255, 65535, 2**32 - 1)
    white = next((each for each in ranges if high <= each), high)
    black = min(low, 0.0)
    scaled = (values.astype(np.float64) - black) * (255 / ((high if low < 0 else white) - black))
    return Images.fromarray(np.rint(scaled).astype(np.uint8))


def _srgb(image: Image) -> Image:
    """Convert the colours of an embedded profile (Display P3 of a phone, CMYK of a printer) to sRGB; alpha is kept."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=target)
    except (ImageCms.PyCMSError, OSError):  # damaged profile, or one for another colour space: viewers ignore it too
        return image
    return image if converted is None else converted


def _opaque_rgb(image: Image) -> Image:
    from PIL import Image as Images

    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    opaque = Images.new("RGB", layer.size, "white")
    opaque.paste(layer, mask=layer.getchannel("A"))
    return opaque
