"""Small pictures and `.lic` files for the tests, and a way to take files apart."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pillow_lic import container
from pillow_lic.header import pack_varint

if TYPE_CHECKING:
    import torch

TINY = 0
HEADER = container.Header(5, 3, "RGB", TINY, b"weights!", 7500)
EXIF = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6
ICC = b"\0" * 16 + b"RGB " + b"\0" * 20
XMP = b"<x:xmpmeta/>"


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 24)) -> Image.Image:
    """Return a smooth picture, whose channels differ."""
    ramp = Image.linear_gradient("L").resize(size)
    disc = Image.radial_gradient("L").resize(size)
    turned = ramp.transpose(Image.Transpose.ROTATE_180)
    return Image.merge("RGBA", (ramp, disc, turned, disc)).convert(mode)


def lic(image: Image.Image | None = None, **options: Any) -> bytes:
    """Return the bytes of an image saved with the smallest model."""
    file = io.BytesIO()
    (image or picture()).save(file, "LIC", **{"model": "tiny", **options})
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    """Open a file, loading nothing."""
    return Image.open(io.BytesIO(data))


def distance(one: Image.Image, other: Image.Image) -> float:
    """Return the mean absolute difference of two images of one mode."""
    assert (one.mode, one.size) == (other.mode, other.size)
    return float(np.abs(np.asarray(one, np.float64) - np.asarray(other)).mean())


def part(tag: str, data: bytes) -> bytes:
    """Return a part as it stands in a file."""
    start = tag.encode() + pack_varint(len(data))
    return start + data + struct.pack("<I", zlib.crc32(start + data))


def split(data: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return the header's bytes and the (tag, data) of each part of a sound file."""
    file = io.BytesIO(data)
    header = container.read_header(file)
    start = file.tell()
    frames = list(container.read_frames(file, header))
    found = list(frames[0].metadata.items())
    if frames[0].timing:
        found.append(("F", frames[0].timing.pack()))
    for frame in frames:
        if frame.alpha is not None:
            found.append(("A", frame.alpha))
        found += [("T", tile) for tile in frame.tiles if tile is not None]
    return data[:start], found


def join(header: bytes, parts: list[tuple[str, bytes]]) -> bytes:
    """Put a file together from what `split` returned, changed perhaps; checksums are made new."""
    return header + b"".join(part(tag, data) for tag, data in parts)


def resealed(header: bytes, offset: int, value: bytes) -> bytes:
    """Return header bytes with some replaced and a checksum that fits."""
    body = header[:offset] + value + header[offset + len(value) : -4]
    return body + struct.pack("<I", zlib.crc32(body))


def photo(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Smooth colours with some noise, (3, H, W) in [0, 1]."""
    import torch  # here: processes that tests start import this module, and few want photos

    random = np.random.default_rng(seed)
    rows = np.linspace(0, 3, height)[:, None]
    columns = np.linspace(0, 4, width)[None]
    planes = [np.sin(rows * (i + 1) + columns) * 0.4 + 0.5 for i in range(3)]
    x = np.stack(planes) + random.normal(0, 0.03, (3, height, width))
    return torch.from_numpy(x.clip(0, 1)).float()
