"""Lossless coding of the alpha plane: a filter that predicts, then zlib.

The first byte names the filter; the rest is a zlib stream of the filtered plane, row by row,
except for a plane of one value (nearly every opaque image), which is that value alone.
A filter replaces each sample by its difference from a prediction, modulo 256 (65536 at 16 bits);
samples outside the plane count as 0.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import PayloadError

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Plane = npt.NDArray[Any]  # uint8 or uint16

__all__ = ["check", "constant", "decode", "encode"]

NONE = 0
LEFT = 1  # prediction: the sample to the left
ABOVE = 2  # the sample above
GRADIENT = 3  # left + above - above left
CONSTANT = 4  # no zlib stream: the value of every sample
CHUNK = 1 << 20


def encode(plane: Plane) -> bytes:
    """Return the coded bytes of a plane (height, width), uint8 or uint16."""
    import numpy as np

    if (plane == plane.flat[0]).all():
        return bytes([CONSTANT]) + int(plane.flat[0]).to_bytes(plane.itemsize, "little")
    zero = plane.dtype.type(0)
    left = np.diff(plane, axis=1, prepend=zero)
    above = np.diff(plane, axis=0, prepend=zero)
    gradient = np.diff(left, axis=0, prepend=zero)
    candidates = [_split(each) for each in (plane, left, above, gradient)]
    best = min(range(4), key=lambda filter_: len(zlib.compress(candidates[filter_], 1)))
    return bytes([best]) + zlib.compress(candidates[best], 9)


def _split(plane: Plane) -> bytes:
    """Return the samples as bytes; of 16-bit ones first all high bytes, which repeat more."""
    import numpy as np

    if plane.itemsize == 1:
        return plane.tobytes()
    return (plane >> 8).astype(np.uint8).tobytes() + plane.astype(np.uint8).tobytes()


def decode(data: bytes, width: int, height: int, depth: int = 8) -> Plane:
    """Return the plane (height, width), not to be written to.

    Raises PayloadError unless the bytes make exactly one.
    """
    import numpy as np

    kind = np.dtype(np.uint16 if depth == 16 else np.uint8)
    if _filter(data, depth) == CONSTANT:
        value = kind.type(int.from_bytes(data[1:], "little"))
        return np.broadcast_to(value, (height, width))  # takes no memory, whatever size is claimed
    samples = bytearray()
    for chunk in _inflate(data, width * height * kind.itemsize):
        samples += chunk
    parts = np.frombuffer(samples, np.uint8).reshape(-1, height, width)
    plane = parts[0] if depth == 8 else parts[0].astype(kind) << 8 | parts[1]
    if data[0] in (LEFT, GRADIENT):
        plane = np.add.accumulate(plane, axis=1, dtype=kind)
    if data[0] in (ABOVE, GRADIENT):
        plane = np.add.accumulate(plane, axis=0, dtype=kind)
    found: Plane = plane
    return found


def constant(data: bytes) -> bool:
    """Say whether a plane has one value."""
    return data[:1] == bytes([CONSTANT])


def check(data: bytes, width: int, height: int, depth: int = 8) -> None:
    """Raise PayloadError unless `decode` would succeed; needs no memory for the plane."""
    if _filter(data, depth) != CONSTANT:
        for _ in _inflate(data, width * height * depth // 8):
            pass


def _filter(data: bytes, depth: int) -> int:
    if not data or data[0] > CONSTANT:
        found = str(data[0]) if data else "nothing"
        raise PayloadError(f"alpha filter: found {found}, allowed is 0 to {CONSTANT}")
    if data[0] == CONSTANT and len(data) != 1 + depth // 8:
        raise PayloadError(f"constant alpha: found {len(data)} bytes, allowed are {1 + depth // 8}")
    return data[0]


def _inflate(data: bytes, size: int) -> Iterator[bytes]:
    """Yield what the zlib stream after the filter byte holds, never much more than `size` bytes."""
    stream = zlib.decompressobj()
    pending, found = data[1:], 0
    try:
        while not stream.eof and found <= size:
            chunk = stream.decompress(pending, CHUNK)
            if not chunk and not stream.eof:
                break
            found += len(chunk)
            pending = stream.unconsumed_tail
            yield chunk
    except zlib.error as error:
        raise PayloadError(f"alpha: the zlib stream is malformed ({error})") from error
    if found != size or not stream.eof:
        less = "more" if found > size else "fewer"
        raise PayloadError(f"alpha: found {less} than the allowed {size} bytes")
    if stream.unused_data:
        raise PayloadError(f"alpha: found {len(stream.unused_data)} bytes after the zlib stream")
