"""The header of a `.lic` file, and the two ways in which the container writes numbers.

Lengths come from the file and are not believed: bytes are read in bounded chunks, so a lie about
a length costs no more memory than the file has bytes.
"""

from __future__ import annotations

import struct
import zlib
from typing import IO, NamedTuple

from .errors import ChecksumError, FormatError, TruncatedError

__all__ = [
    "CRC",
    "DEPTHS",
    "LEVELS",
    "MODELS",
    "MODEL_DEFAULT",
    "MODES",
    "QUALITY_DEFAULT",
    "SAMPLE",
    "SIGNATURE",
    "TILE_MAX",
    "TILE_UNIT",
    "VERSION",
    "Box",
    "Header",
    "pack_varint",
    "read_exactly",
    "read_header",
    "read_varint",
    "unpack_varint",
    "worked",
]

SIGNATURE = b"\x8aLIC\r\n\x1a\n"
VERSION = 1
SEQUENCE = 1  # flag
MODES = ("L", "LA", "RGB", "RGBA")  # position = colour mode number
DEPTHS = (8, 16)  # bits per sample; position = code
MODELS = (  # position = model id, permanent; the header stores the id alone
    "tiny", "balle2017", "balle2018", "minnen2018", "cheng2020", "minnen2020", "hific",
    "checkerboard", "elic",
)  # fmt: skip
MODEL_DEFAULT = "elic"  # of all that writes files
QUALITY_DEFAULT = 75
SIDE_MAX = 1 << 30
LEVELS = (100, 10000)
TILE_UNIT = 64
TILE_MAX = 255 * TILE_UNIT
TILE_PIXELS_MAX = 1 << 24  # a tile is decoded as a whole: this bounds memory
SAMPLE, HALO = 16, 128  # pixels per latent sample, and around it, that pixels depend on
CHUNK = 1 << 20

Box = tuple[int, int, int, int]
_START = struct.Struct("<8sB")  # what every version has
_FIXED = struct.Struct("<BBB8sHB")
CRC = struct.Struct("<I")


class Header(NamedTuple):
    """The fixed fields of a file.

    `tile` is in pixels, 0 for one tile that is the whole image; `depth` is in bits per sample.
    """

    width: int
    height: int
    mode: str
    model: int
    fingerprint: bytes
    level: int
    tile: int = 0
    depth: int = 8
    sequence: bool = False  # of frames, with their times

    @property
    def model_name(self) -> str:
        """The model's name, or its id in digits if it is not one of ours."""
        return MODELS[self.model] if self.model < len(MODELS) else str(self.model)

    @property
    def has_alpha(self) -> bool:
        """Whether an alpha part comes before the tiles."""
        return self.mode.endswith("A")

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // self.tile) if self.tile else 1

    @property
    def tiles(self) -> int:
        """Tiles in all."""
        rows = -(-self.height // self.tile) if self.tile else 1
        return self.columns * rows

    def tile_size(self, index: int) -> tuple[int, int]:
        """Return width and height of a tile, counted in raster order."""
        if not self.tile:
            return self.width, self.height
        row, column = divmod(index, self.columns)
        left, top = column * self.tile, row * self.tile
        return min(self.tile, self.width - left), min(self.tile, self.height - top)

    def near(self, region: Box) -> frozenset[int]:
        """Return the tiles that the pixels of a region (left, upper, right, lower) depend on."""
        edge = self.tile or max(self.width, self.height)
        left, upper = (max(side // SAMPLE * SAMPLE - HALO, 0) // edge for side in region[:2])
        right, lower = (
            (min(-(-side // SAMPLE) * SAMPLE + HALO, whole) - 1) // edge + 1
            for side, whole in zip(region[2:], (self.width, self.height), strict=True)
        )
        rows, columns = range(upper, lower), range(left, right)
        return frozenset(row * self.columns + column for row in rows for column in columns)

    def problem(self) -> str | None:
        """Return what is wrong with the first field outside its range, or None."""
        for name, side in (("width", self.width), ("height", self.height)):
            if not 1 <= side <= SIDE_MAX:
                return f"{name}: found {side}, allowed is 1 to {SIDE_MAX}"
        if self.mode not in MODES:
            return f"colour mode: found {self.mode!r}, allowed are {', '.join(MODES)}"
        if self.depth not in DEPTHS:
            return f"bit depth: found {self.depth!r}, allowed are 8 and 16"
        if not 0 <= self.model <= 255:
            return f"model id: found {self.model}, allowed is 0 to 255"
        if len(self.fingerprint) != 8:
            return f"fingerprint: found {len(self.fingerprint)} bytes, allowed are 8"
        if not LEVELS[0] <= self.level <= LEVELS[1]:
            return f"level: found {self.level}, allowed is {LEVELS[0]} to {LEVELS[1]}"
        if self.tile % TILE_UNIT or not 0 <= self.tile <= TILE_MAX:
            return f"tile: found {self.tile}, allowed are 0 and the multiples of 64 to {TILE_MAX}"
        width, height = (-(-side // TILE_UNIT) * TILE_UNIT for side in self.tile_size(0))
        if width * height > TILE_PIXELS_MAX:
            return f"tile: found {width}x{height} pixels, allowed are {TILE_PIXELS_MAX} in a tile"
        return None

    def pack(self) -> bytes:
        """Return the header as bytes, checksum included; ValueError for a field out of range."""
        if problem := self.problem():
            raise ValueError(problem)
        fixed = _START.pack(SIGNATURE, VERSION) + _FIXED.pack(
            SEQUENCE if self.sequence else 0,
            MODES.index(self.mode) | DEPTHS.index(self.depth) << 4,
            self.model,
            self.fingerprint,
            self.level,
            self.tile // TILE_UNIT,
        )
        data = fixed + pack_varint(self.width) + pack_varint(self.height)
        return data + CRC.pack(zlib.crc32(data))


def worked(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of an image that is as much work: of a line of pixels, 64 lines."""
    return max(size[0], TILE_UNIT), max(size[1], TILE_UNIT)


def pack_varint(value: int) -> bytes:
    """Return LEB128, least significant seven bits first, in its shortest form."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def read_exactly(fp: IO[bytes], size: int, what: str) -> bytes:
    """Read `size` bytes in bounded chunks; TruncatedError naming `what` if there are fewer."""
    pieces = []
    missing = size
    while missing > 0:
        piece = fp.read(min(missing, CHUNK))
        if not piece:
            found = size - missing
            raise TruncatedError(f"image file is truncated: {what} has {size} bytes, found {found}")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def read_varint(fp: IO[bytes], what: str) -> tuple[int, bytes]:
    """Return the number and its bytes, which a checksum covers."""
    raw = b""
    while not raw or raw[-1] > 0x7F:
        if len(raw) == 5:
            raise FormatError(f"{what}: found a number of more than 5 bytes, allowed are 1 to 5")
        raw += read_exactly(fp, 1, what)
    return unpack_varint(raw, what), raw


def unpack_varint(raw: bytes, what: str) -> int:
    """Return the number that whole bytes stand for; FormatError if fewer would do."""
    if len(raw) > 1 and raw[-1] == 0:
        raise FormatError(f"{what}: found {raw.hex(' ')}, allowed is only the shortest form")
    value = 0
    for digit in reversed(raw):
        value = value << 7 | digit & 0x7F
    return value


def read_header(fp: IO[bytes]) -> Header:
    """Read the header and not a byte more.

    Raises TruncatedError, ChecksumError, or FormatError naming the field.
    """
    start = read_exactly(fp, _START.size, "header")
    signature, version = _START.unpack(start)
    if signature != SIGNATURE:
        raise FormatError(f"signature: found {signature.hex(' ')}, allowed is {SIGNATURE.hex(' ')}")
    # Before the checksum: a later version may place it elsewhere.
    if version != VERSION:
        raise FormatError(f"version: found {version}, allowed is {VERSION}")
    fixed = read_exactly(fp, _FIXED.size, "header")
    flags, format_, model, fingerprint, level, tile = _FIXED.unpack(fixed)
    width, width_bytes = read_varint(fp, "width")
    height, height_bytes = read_varint(fp, "height")
    (crc,) = CRC.unpack(read_exactly(fp, CRC.size, "header checksum"))
    if crc != zlib.crc32(start + fixed + width_bytes + height_bytes):
        raise ChecksumError("header: the checksum does not fit, the file is damaged")
    if flags > SEQUENCE:
        raise FormatError(f"flags: found {flags}, allowed are 0 and {SEQUENCE} (sequence)")
    mode, depth = format_ & 15, format_ >> 4
    if depth >= len(DEPTHS):
        raise FormatError(f"bit depth: found code {depth}, allowed are 0 (8 bits) and 1 (16 bits)")
    if mode >= len(MODES):
        raise FormatError(f"colour mode: found {mode}, allowed is 0 to {len(MODES) - 1}")
    edge = tile * TILE_UNIT
    header = Header(
        width,
        height,
        MODES[mode],
        model,
        fingerprint,
        level,
        edge,
        DEPTHS[depth],
        flags == SEQUENCE,
    )
    if problem := header.problem():
        raise FormatError(problem)
    return header
