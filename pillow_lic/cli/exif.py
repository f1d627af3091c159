"""EXIF and XMP of pictures: what is carried over, and how a picture is to be turned."""

from __future__ import annotations

from typing import Any

from PIL import ExifTags, Image

from .failures import DAMAGE

__all__ = ["metadata_of", "orientation", "upright"]

# Of a TIFF's tags, those that EXIF has too; the others place its strips and name its compression.
_DESCRIBING = frozenset({270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853})
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def metadata_of(image: Image.Image) -> dict[str, Any]:
    """Return the save options that carry an image's EXIF and XMP over."""
    exif = image.info.get("exif") or None
    if not isinstance(exif, bytes | None):  # PNG lets a text have that name
        exif = None
    elif exif is None:
        exif = image.getexif()
        if image.format == "TIFF":
            for tag in set(exif) - _DESCRIBING:
                del exif[tag]
        exif = exif.tobytes() if len(exif) else b""
    found = {"exif": exif, "xmp": image.info.get("xmp")}
    return {name: value for name, value in found.items() if value}


def orientation(image: Image.Image) -> int:
    """Return how an image is to be turned, as EXIF counts; 1, not at all, if EXIF is malformed."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (*DAMAGE, OSError, ValueError):
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright(image: Image.Image) -> Image.Image:
    """Return an image turned as EXIF or XMP say, and without them; itself if it is as it should be.

    Unlike Pillow's `exif_transpose` this writes no EXIF, which malformed tags make impossible.
    """
    method = _TURNS.get(orientation(image))
    if method is None:
        return image
    turned = image.transpose(method)
    for name in ("exif", "xmp", "XML:com.adobe.xmp"):
        turned.info.pop(name, None)
    return turned
