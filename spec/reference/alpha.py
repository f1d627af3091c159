"""format.md, section 4.3: the alpha plane."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import PayloadError

Plane = npt.NDArray[Any]  # u1 or u2
CHUNK = 1 << 16
CONSTANT = 4


def inflate(data: bytes, size: int) -> bytes:
    """Inflate one whole zlib stream to exactly `size` bytes."""
    stream = zlib.decompressobj()
    out = bytearray()
    try:
        while not stream.eof:
            # One byte more than wanted shows an excess, and lets the stream reach its end.
            piece = stream.decompress(data, min(CHUNK, size + 1 - len(out)))
            if not piece and not stream.eof:
                raise PayloadError("alpha: zlib stream is not finished")
            out += piece
            if len(out) > size:
                raise PayloadError(f"alpha: more than {size} bytes")
            data = stream.unconsumed_tail
    except zlib.error as error:
        raise PayloadError(f"alpha: {error}") from None
    if stream.unused_data:
        raise PayloadError(f"alpha: {len(stream.unused_data)} bytes after the zlib stream")
    if len(out) != size:
        raise PayloadError(f"alpha: {len(out)} bytes found, {size} allowed")
    return bytes(out)


def alpha_plane(data: bytes, height: int, width: int, depth: int) -> Plane:
    if not data:
        raise PayloadError("alpha: empty data")
    filter_, count = data[0], depth // 8
    if filter_ > CONSTANT:
        raise PayloadError(f"alpha filter: {filter_} found, 0 to {CONSTANT} allowed")
    kind = np.dtype(f"u{count}")
    if filter_ == CONSTANT:
        if len(data) != 1 + count:
            raise PayloadError(f"constant alpha: {len(data)} bytes found, {1 + count} allowed")
        value = kind.type(int.from_bytes(data[1:], "little"))
        return np.broadcast_to(value, (height, width))  # takes no memory
    residuals = inflate(data[1:], count * height * width)
    parts = np.frombuffer(residuals, np.uint8).reshape(count, height, width)
    plane: npt.NDArray[Any] = np.zeros((height, width), kind)
    for part in parts:  # high bytes first
        plane = (plane.astype(np.uint32) << 8 | part).astype(kind)
    # The recurrences are running sums modulo 256 or 65536: along rows, along columns, or both.
    if filter_ & 1:
        plane = np.cumsum(plane, axis=1, dtype=kind)
    if filter_ & 2:
        plane = np.cumsum(plane, axis=0, dtype=kind)
    return plane
