"""A coded image: the payloads of its tiles, what may be asked of them, and the raw stream.

The raw stream is what `Codec.encode` returns: no container, no checksum, no fingerprint.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import NamedTuple

from .boxes import up
from .errors import StreamError
from .levels import LEVEL_MAX, LEVEL_MIN

__all__ = ["TILE_PIXELS_MAX", "Coded", "check", "pack", "unpack"]

TILE_UNIT = 64
TILE_MAX = 255 * TILE_UNIT
TILE_PIXELS_MAX = 1 << 24  # a tile's latents are coded as a whole: this bounds memory
_HEAD = struct.Struct("<IIHB")  # width, height, level, tile / 64
_LENGTH = struct.Struct("<I")


class Coded(NamedTuple):
    """An image as `encode_tiles` leaves it; None stands for a payload that is lost."""

    payloads: Sequence[bytes | None]
    width: int
    height: int
    level: int
    tile: int
    depth: int = 8  # bits per sample of what is decoded, 8 or 16


def check(level: int, tile: int, width: int, height: int) -> None:
    """Raise ValueError if one of these is out of its range."""
    if not LEVEL_MIN <= level <= LEVEL_MAX:
        raise ValueError(f"level: found {level}, allowed is {LEVEL_MIN} to {LEVEL_MAX}")
    if tile % TILE_UNIT or not 0 <= tile <= TILE_MAX:
        raise ValueError(f"tile: found {tile}, allowed are multiples of 64 from 0 to {TILE_MAX}")
    sides = (up(min(tile or side, side), TILE_UNIT) for side in (width, height))
    area = math.prod(sides)
    if area > TILE_PIXELS_MAX:
        raise ValueError(f"tile: found {area} pixels, allowed are {TILE_PIXELS_MAX} in a tile")


def pack(coded: Coded) -> bytes:
    """Return the raw stream of an image of which no payload is lost."""
    head = _HEAD.pack(coded.width, coded.height, coded.level, coded.tile // TILE_UNIT)
    return head + b"".join(_LENGTH.pack(len(p)) + p for p in coded.payloads if p is not None)


def unpack(data: bytes) -> Coded:
    """Return what a raw stream holds; raises StreamError if it is malformed."""
    if len(data) < _HEAD.size:
        raise StreamError(f"stream: found {len(data)} bytes, allowed are {_HEAD.size} or more")
    width, height, level, tile = _HEAD.unpack_from(data)
    if not (width and height):
        raise StreamError(f"stream: found {width} x {height} pixels, allowed are 1 or more")
    try:
        check(level, tile * TILE_UNIT, width, height)
    except ValueError as error:
        raise StreamError(f"stream: {error}") from error
    payloads, at = [], _HEAD.size
    while at < len(data):
        if at + _LENGTH.size > len(data):
            left = len(data) - at
            raise StreamError(f"length: found {left} bytes, allowed are {_LENGTH.size}")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            raise StreamError(f"payload: found {len(data) - at} bytes, allowed are {length}")
        payloads.append(data[at : at + length])
        at += length
    return Coded(payloads, width, height, level, tile * TILE_UNIT)
