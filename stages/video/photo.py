"""Read still pictures as upright, opaque sRGB with 8 bits. Does not know clips."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from stages.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "GIF")
CLIP_FORMATS = ("GIF", "PNG")
"""Formats whose files are clips if they hold several pictures. Further pictures in an MPO or TIFF are not a clip."""


def photo_size(path: Path) -> tuple[int, int] | None:
    """Upright (width, height) of a still picture, or None when the file is not a still picture.

    An animated GIF or PNG is a clip, so it gives None. Raises InputError for an animated WebP or AVIF, which the
    video library cannot read, and for a picture too large to open.
    """
    image = _open_still(path)
    if image is None:
        return None
    with image:
        return _upright(path, image).size if _orientation(image) != 1 else image.size


def read_photo(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """RGB of a still picture: EXIF orientation applied, transparency put on white, embedded profile converted to sRGB.

    Raises InputError when the file is missing, damaged or not a still picture.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist or is a folder; give a photo")
    image = _open_still(path)
    if image is None:
        raise InputError(f"{path} is not a photo that can be read; give a jpg, png, webp, bmp, tiff, avif or still gif")
    with image:
        return np.asarray(_opaque_rgb(_srgb(_eight_bits(_upright(path, image)))))


def _open_still(path: Path) -> Image | None:
    """The opened picture, or None for a file that is not a picture or is a clip."""
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=PHOTO_FORMATS)
    except UnidentifiedImageError:
        return None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is larger than 178 megapixels; make it smaller first") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is a damaged picture ({error}); save or download it again") from error
    if getattr(image, "n_frames", 1) > 1:
        if image.format in CLIP_FORMATS:
            image.close()
            return None
        if image.format in ("WEBP", "AVIF"):
            image.close()
            raise InputError(f"{path} is an animated {image.format}, which cannot be read; convert it to mp4 or gif")
    return image


def _orientation(image: Image) -> int:
    from PIL import ExifTags

    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _upright(path: Path, image: Image) -> Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is a damaged picture ({error}); save or download it again") from error


def _eight_bits(image: Image) -> Image:
    """16-bit grey scaled to 8 bits; Pillow would clip it."""
    from PIL import Image as Images

    if not image.mode.startswith("I"):
        return image
    return Images.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))


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
    return Images.alpha_composite(Images.new("RGBA", layer.size, "white"), layer).convert("RGB")
