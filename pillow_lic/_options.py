"""What a caller may pass to `save`, checked.

Encoder options are never taken from `im.info`: whoever made the source file chose what is there.
The colour profile alone is carried over from it, because without it the pixels mean other colours.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

from PIL import Image

from . import _rate
from .header import MODEL_DEFAULT, QUALITY_DEFAULT, TILE_MAX, TILE_UNIT, Box, worked

__all__ = [
    "EXIF_PREFIX",
    "check_size",
    "effort",
    "encoding",
    "fits",
    "inside",
    "metadata",
    "tile_edge",
    "tune",
]

ONE_TILE_MAX = 2 << 20  # pixels; larger images are cut, which bounds the memory of a decoder
TILE = 1024
EXIF_PREFIX = b"Exif\0\0"
_OTHER_COLOURS = ("CMYK", "LAB")  # stored as RGB, which a profile for these does not describe


def tile_edge(options: Mapping[str, Any], size: tuple[int, int]) -> int:
    """Return the tile edge in pixels, 0 for one tile."""
    value = options.get("tile")
    if value is None:
        return TILE if math.prod(worked(size)) > ONE_TILE_MAX else 0
    problem = f"tile: found {value!r}, allowed are 0 and the multiples of 64 to {TILE_MAX}"
    try:
        edge = operator.index(value)
    except TypeError as error:
        raise ValueError(problem) from error
    if isinstance(value, bool) or edge % TILE_UNIT or not 0 <= edge <= TILE_MAX:
        raise ValueError(problem)
    return edge


def tune(options: Mapping[str, Any]) -> str:
    """Return what the encoder serves, squared error unless given."""
    from lic_models.tunes import PLAIN, known

    value = options.get("tune")
    return PLAIN if value is None else known(value)


def effort(options: Mapping[str, Any]) -> int | None:
    """Return the effort of the encoder, None for the least that serves what it is tuned for."""
    value = options.get("effort")
    if value is None:
        return None
    from lic_models.refine import EFFORT_MAX

    problem = f"effort: found {value!r}, allowed are the whole numbers from 0 to {EFFORT_MAX}"
    try:
        number = operator.index(value)
    except TypeError as error:
        raise ValueError(problem) from error
    if isinstance(value, bool) or not 0 <= number <= EFFORT_MAX:
        raise ValueError(problem)
    return number


def encoding(options: Mapping[str, Any], size: tuple[int, int], frames: int) -> dict[str, Any]:
    """Return what `_encode.encode` takes besides pixels and metadata."""
    on_tile = options.get("on_tile")
    if on_tile is not None and not callable(on_tile):
        raise ValueError(f"on_tile: found {on_tile!r}, allowed are functions")
    return {
        "model": options.get("model", MODEL_DEFAULT),
        "quality": options.get("quality", QUALITY_DEFAULT),
        "target": _rate.wanted(options, size, frames),
        "tile": tile_edge(options, size),
        "device": options.get("device", "auto"),
        "effort": effort(options),
        "tune": tune(options),
        "on_tile": on_tile,
    }


def fits(region: Box, size: tuple[int, int]) -> bool:
    """Say whether a region (left, upper, right, lower) is inside an image and not empty."""
    left, upper, right, lower = region
    return 0 <= left < right <= size[0] and 0 <= upper < lower <= size[1]


def inside(region: object, size: tuple[int, int]) -> Box:
    """Return a region as integers; ValueError unless it fits."""
    problem = (
        f"region: found {region!r}, allowed are whole numbers left < right and upper < lower "
        f"within 0, 0, {size[0]}, {size[1]}"
    )
    try:
        left, upper, right, lower = map(operator.index, region)  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise ValueError(problem) from error
    if not fits((left, upper, right, lower), size):
        raise ValueError(problem)
    return left, upper, right, lower


def check_size(region: Box, frames: int = 1) -> None:
    """Apply Pillow's limit on decompression bombs to the work that images, or parts of them, are.

    `region`: left, upper, right, lower.
    """
    left, upper, right, lower = region
    width, height = worked((right - left, lower - upper))
    Image._decompression_bomb_check((width, height * frames))


def metadata(options: Mapping[str, Any], image: Image.Image) -> dict[str, bytes]:
    """Return the metadata parts for an image, by tag."""
    if "icc_profile" in options:
        icc = _as_bytes("icc_profile", options["icc_profile"])
    else:
        inherited = image.info.get("icc_profile")
        described = isinstance(inherited, bytes) and image.mode not in _OTHER_COLOURS
        icc = _as_bytes("icc_profile", inherited if described else None)
    exif = options.get("exif")
    if isinstance(exif, Image.Exif):
        exif = exif.tobytes()  # which has a header where there is nothing
        exif = exif if len(exif) > len(Image.Exif().tobytes()) else b""
    xmp = options.get("xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    parts = {
        "i": icc,
        "e": _as_bytes("exif", exif).removeprefix(EXIF_PREFIX),
        "x": _as_bytes("xmp", xmp),
    }
    return {tag: data for tag, data in parts.items() if data}


def _as_bytes(name: str, value: object) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    extra = {"exif": " or PIL.Image.Exif", "xmp": " or str"}.get(name, "")
    raise ValueError(f"{name}: found {type(value).__name__}, allowed is bytes{extra}")
