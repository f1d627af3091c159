"""format.md: header, parts and their checks; the alpha plane is in alpha.py."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from .alpha import Plane, alpha_plane
from .errors import ChecksumError, FormatError, TruncatedError

SIGNATURE = bytes.fromhex("8a4c49430d0a1a0a")
MODES = ("L", "LA", "RGB", "RGBA")
SIDE_MAX = 1 << 30
TILE_UNIT = 64
TILE_PIXELS_MAX = 1 << 24
ANCILLARY_MAX = 1024
METADATA_MAX = 1 << 26
LENGTH_BASE = 1 << 16
FRAMES_MAX = 1 << 20
TIME_MAX = (1 << 31) - 1


@dataclass
class Header:
    mode: str
    model: int
    fingerprint: bytes
    level: int
    tile: int  # pixels; 0 = the whole image is one tile
    width: int
    height: int
    depth: int  # bits per sample
    sequence: bool

    def tiles(self, unit: int = 1) -> Iterator[tuple[int, int]]:
        """Yield (height, width) of each tile in raster order, sides first rounded up to `unit`."""
        height, width = -(-self.height // unit) * unit, -(-self.width // unit) * unit
        edge = self.tile or max(height, width)
        for top in range(0, height, edge):
            for left in range(0, width, edge):
                yield min(edge, height - top), min(edge, width - left)


@dataclass
class Frame:
    alpha: Plane | None
    payloads: list[bytes]


@dataclass
class Container:
    header: Header
    metadata: dict[str, bytes] = field(default_factory=dict)
    loop: int = 0
    durations: list[int] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


class Cursor:
    """Bytes of a file, taken one field after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int, name: str) -> bytes:
        left = len(self.data) - self.at
        if size > left:
            raise TruncatedError(f"{name}: {left} bytes left, {size} needed")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int, name: str) -> int:
        return int.from_bytes(self.take(size, name), "little")

    def varint(self, name: str) -> int:
        value = 0
        for group in range(5):
            byte = self.number(1, name)
            value |= (byte & 0x7F) << (7 * group)
            if byte < 0x80:
                if group and not byte:
                    raise FormatError(f"{name}: varint has a superfluous zero byte")
                return value
        raise FormatError(f"{name}: varint of more than 5 bytes")

    def checksum(self, start: int, name: str) -> None:
        want = zlib.crc32(self.data[start : self.at])
        found = self.number(4, f"checksum of {name}")
        if found != want:
            raise ChecksumError(f"checksum of {name}: {found:08x} found, {want:08x} computed")


def within(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise FormatError(f"{name}: {value} found, {low} to {high} allowed")
    return value


def read_header(cursor: Cursor) -> Header:
    start = cursor.data[: len(SIGNATURE)]
    if not SIGNATURE.startswith(start):
        raise FormatError(f"signature: {start.hex()} found, {SIGNATURE.hex()} allowed")
    cursor.take(len(SIGNATURE), "signature")
    within("version", cursor.number(1, "version"), 1, 1)  # nothing later means anything otherwise
    flags = cursor.number(1, "flags")
    format_ = cursor.number(1, "format")
    model = cursor.number(1, "model")
    fingerprint = cursor.take(8, "fingerprint")
    level = cursor.number(2, "level")
    tile = cursor.number(1, "tile") * TILE_UNIT
    width, height = cursor.varint("width"), cursor.varint("height")
    cursor.checksum(0, "header")
    within("flags", flags, 0, 1)
    within("colour mode", format_ & 15, 0, len(MODES) - 1)
    within("bit depth", format_ >> 4, 0, 1)
    within("level", level, 100, 10000)
    within("width", width, 1, SIDE_MAX)
    within("height", height, 1, SIDE_MAX)
    edge = tile or SIDE_MAX
    padded = [min(edge, -(-side // TILE_UNIT) * TILE_UNIT) for side in (width, height)]
    within("pixels of a tile", padded[0] * padded[1], 1, TILE_PIXELS_MAX)
    depth = 8 << (format_ >> 4)
    mode, sequence = MODES[format_ & 15], flags == 1
    return Header(mode, model, fingerprint, level, tile, width, height, depth, sequence)


def read_part(cursor: Cursor, tag: str, limit: int) -> bytes:
    """Return the data of a part whose tag has been looked at, but not taken."""
    start = cursor.at
    cursor.take(1, "tag")
    length = within(f"length of part {tag}", cursor.varint(f"length of part {tag}"), 0, limit)
    data = cursor.take(length, f"part {tag}")
    cursor.checksum(start, f"part {tag}")
    return data


def next_tag(cursor: Cursor) -> str:
    byte = cursor.number(1, "tag")
    cursor.at -= 1
    tag = chr(byte)
    if not (tag.isascii() and tag.isalpha()):
        raise FormatError(f"tag: 0x{byte:02x} found, an ASCII letter allowed")
    if tag.isupper() and tag not in "AFT":
        raise FormatError(f"tag: {tag} found, in upper case only A, F and T allowed")
    return tag


def expect(cursor: Cursor, wanted: str) -> None:
    tag = next_tag(cursor)
    if tag != wanted:
        raise FormatError(f"tag: {tag} found, {wanted} allowed here")


def read_times(times: Cursor, found: Container) -> None:
    """Section 4.5."""
    try:
        found.loop = within("loop", times.varint("loop"), 0, TIME_MAX)
        for _ in range(within("frames", times.varint("frames"), 1, FRAMES_MAX)):
            duration = times.varint("duration")
            found.durations.append(within("duration", duration, 0, TIME_MAX))
    except TruncatedError as error:
        raise FormatError(f"part F: {error}") from error
    if times.at != len(times.data):
        raise FormatError(f"part F: {len(times.data) - times.at} bytes after its numbers")


def read_frame(cursor: Cursor, header: Header) -> Frame:
    frame = Frame(None, [])
    if header.mode.endswith("A"):
        expect(cursor, "A")
        samples = header.depth // 8 * header.width * header.height
        content = read_part(cursor, "A", LENGTH_BASE + 2 * samples)
        frame.alpha = alpha_plane(content, header.height, header.width, header.depth)
    for height, width in header.tiles():  # lazily: a header may promise more tiles than fit
        expect(cursor, "T")
        frame.payloads.append(read_part(cursor, "T", LENGTH_BASE + 16 * height * width))
    return frame


def parse(data: bytes) -> Container:
    """Check a whole file and return what is in it."""
    cursor = Cursor(data)
    header = read_header(cursor)
    found = Container(header)
    count = 0
    while (tag := next_tag(cursor)).islower():
        count = within("ancillary parts", count + 1, 0, ANCILLARY_MAX)
        content = read_part(cursor, tag, METADATA_MAX)
        if tag in found.metadata:
            raise FormatError(f"part {tag}: found twice, once allowed")
        if tag in "iexp":
            found.metadata[tag] = content
    if header.sequence:
        expect(cursor, "F")
        times = Cursor(read_part(cursor, "F", 5 * (FRAMES_MAX + 2)))
        read_times(times, found)
    for _ in found.durations or [0]:
        found.frames.append(read_frame(cursor, header))
    if cursor.at != len(data):
        raise FormatError(f"end of file: {len(data) - cursor.at} bytes after the last tile")
    return found
