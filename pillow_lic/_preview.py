"""A small picture beside the coded one: `draft` and `thumbnail` answer from it without a network.

It is a WebP file, which Pillow decodes in milliseconds and which has opacity too.
"""

from __future__ import annotations

import io
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image, features

from ._modes import narrow

if TYPE_CHECKING:
    from lic_models.pixels import Pixels

__all__ = ["edge_of", "make", "read"]

EDGE = 256  # pixels of the longer side, if the caller only says that there shall be one
EDGE_MIN, EDGE_MAX = 16, 1024
QUALITY = 75


def make(pixels: Pixels, options: Mapping[str, Any]) -> bytes:
    """Return a preview of an image (H, W, 1 to 4), uint8 or uint16; nothing if none is asked for.

    Nor is there one for an image that is no larger. Raises ValueError for a bad option, OSError
    if this Pillow has no WebP.
    """
    edge = edge_of(options.get("preview"))
    if not edge or max(pixels.shape[:2]) <= edge:
        return b""
    if not features.check("webp"):
        raise OSError("preview: found a Pillow without WebP, which previews need")
    shown = narrow(pixels)
    small = Image.fromarray(shown[..., 0] if shown.shape[2] == 1 else shown)
    small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.convert("RGBA" if small.mode.endswith("A") else "RGB").save(
        file, "WEBP", quality=QUALITY, method=6
    )
    return file.getvalue()


def edge_of(value: object) -> int:
    """Return the longer side that an option asks for, 0 for no preview; ValueError if bad."""
    if value is None or value == 0:
        return 0
    if value is True:
        return EDGE
    problem = f"preview: found {value!r}, allowed are {EDGE_MIN} to {EDGE_MAX} pixels or none"
    try:
        edge = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise ValueError(problem) from error
    if not EDGE_MIN <= edge <= EDGE_MAX:
        raise ValueError(problem)
    return edge


def read(data: bytes, mode: str) -> Image.Image | None:
    """Return the preview in a mode; None if it cannot be read or is larger than any should be."""
    if not features.check("webp"):
        return None
    from PIL.WebPImagePlugin import WebPImageFile  # not needed to open a file

    try:
        with WebPImageFile(io.BytesIO(data)) as image:  # no warning of a bomb: it has a limit
            if max(image.size) > EDGE_MAX:
                return None
            if mode != "I;16":
                return image.convert(mode)
            wide = image.convert("L").convert("I").point(lambda value: value * 257)
            return wide.convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # whoever made it: the picture itself is still there
