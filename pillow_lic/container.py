"""The `.lic` container: a header, then parts, each with its own checksum.

Only bytes and numbers here: no pixels, no networks, nothing outside the standard library.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import IO, NamedTuple

from .errors import ChecksumError, FormatError, TruncatedError
from .header import CRC, Header, pack_varint, read_exactly, read_header, read_varint

__all__ = [
    "Header",
    "Parts",
    "read_header",
    "read_metadata",
    "read_parts",
    "read_preview",
    "read_some",
    "salvage_parts",
    "write",
]

METADATA = {"i": "icc_profile", "e": "exif", "x": "xmp"}
PREVIEW = "p"
ANCILLARY = {**METADATA, PREVIEW: "preview"}  # in writing order
METADATA_MAX = 64 << 20


class Parts(NamedTuple):
    """All that follows the header. A tile or alpha that was lost is None (`salvage_parts` only).

    `metadata` holds the known ancillary parts by tag, the preview among them.
    """

    metadata: dict[str, bytes]
    alpha: bytes | None
    tiles: list[bytes | None]


class _Part(NamedTuple):
    data: bytes
    intact: bool


def _read_tag(fp: IO[bytes]) -> str:
    """Return the tag of the next part, or "" at the end of the file."""
    raw = fp.read(1)
    if raw and not raw.isalpha():
        raise FormatError(f"tag: found byte {raw.hex()}, allowed is an ASCII letter")
    tag = raw.decode("ascii")
    if tag.isupper() and tag not in "AT":
        raise FormatError(f"part {tag}: found an unknown critical part, known are A and T")
    return tag


def _limit(header: Header, tag: str, index: int) -> int:
    """Return how long a part may be: generous for a coder, hopeless for an attacker."""
    if tag == "A":
        return (64 << 10) + header.depth // 4 * header.width * header.height
    if tag == "T":
        width, height = header.tile_size(index)
        return (64 << 10) + 16 * width * height
    return METADATA_MAX


def _read_length(fp: IO[bytes], tag: str, limit: int) -> tuple[int, bytes]:
    length, raw = read_varint(fp, f"length of part {tag}")
    if length > limit:
        raise FormatError(f"length of part {tag}: found {length}, allowed is at most {limit}")
    return length, raw


def _read_part(fp: IO[bytes], tag: str, limit: int) -> _Part:
    """Read what follows a tag."""
    length, raw = _read_length(fp, tag, limit)
    data = read_exactly(fp, length, f"part {tag}")
    (crc,) = CRC.unpack(read_exactly(fp, CRC.size, f"checksum of part {tag}"))
    return _Part(data, crc == zlib.crc32(data, zlib.crc32(tag.encode() + raw)))


def _read_whole(fp: IO[bytes], tag: str, limit: int) -> bytes:
    part = _read_part(fp, tag, limit)
    if not part.intact:
        raise ChecksumError(f"part {tag}: the checksum does not fit, the file is damaged")
    return part.data


def _add(metadata: dict[str, bytes], tag: str, data: bytes) -> None:
    if tag in metadata:
        raise FormatError(f"part {tag}: found twice, allowed is once")
    if tag in ANCILLARY:  # any other ancillary part means nothing to us
        metadata[tag] = data


def read_metadata(fp: IO[bytes], *, tolerant: bool = False) -> dict[str, bytes]:
    """Read the known parts between the header and the image data, and the next tag.

    Unknown parts and the preview are skipped unread. `tolerant` leaves out damaged parts instead
    of raising.
    """
    metadata: dict[str, bytes] = {}
    try:
        while (tag := _read_tag(fp)).islower():
            if tag not in METADATA:
                length, _ = _read_length(fp, tag, METADATA_MAX)
                fp.seek(length + CRC.size, 1)
            elif tolerant:
                part = _read_part(fp, tag, METADATA_MAX)
                if part.intact:
                    metadata.setdefault(tag, part.data)
            else:
                _add(metadata, tag, _read_whole(fp, tag, METADATA_MAX))
    except TruncatedError:
        if not tolerant:
            raise
    return metadata


def read_preview(fp: IO[bytes]) -> bytes | None:
    """Read the preview from where the parts begin; None if there is none or it is damaged."""
    try:
        while (tag := _read_tag(fp)).islower():
            if tag == PREVIEW:
                part = _read_part(fp, tag, METADATA_MAX)
                return part.data if part.intact else None
            length, _ = _read_length(fp, tag, METADATA_MAX)
            fp.seek(length + CRC.size, 1)
    except (FormatError, TruncatedError):
        pass  # `load` will say what is wrong
    return None


def _expect(fp: IO[bytes], header: Header, tag: str, index: int = 0, found: str = "") -> bytes:
    name = f"part T {index + 1} of {header.tiles}" if tag == "T" else f"part {tag}"
    if not found:
        raise TruncatedError(f"image file is truncated: {name} is missing")
    if found != tag:
        raise FormatError(f"{name}: found part {found} in its place")
    return _read_whole(fp, tag, _limit(header, tag, index))


def _skip_tile(fp: IO[bytes], header: Header, index: int) -> None:
    tag = _read_tag(fp)
    if tag != "T":
        _expect(fp, header, "T", index, tag)  # raises
    length, _ = _read_length(fp, tag, _limit(header, tag, index))
    fp.seek(length + CRC.size, 1)


def read_some(fp: IO[bytes], header: Header, wanted: Collection[int]) -> Parts:
    """Read alpha and the wanted tiles, and skip all else, whose checksums stay unchecked.

    Raises TruncatedError, ChecksumError or FormatError. The other tiles are None.
    """
    while (tag := _read_tag(fp)).islower():
        length, _ = _read_length(fp, tag, METADATA_MAX)
        fp.seek(length + CRC.size, 1)
    alpha = None
    if header.has_alpha:
        alpha = _expect(fp, header, "A", found=tag)
        tag = _read_tag(fp)
    fp.seek(-1 if tag else 0, 1)
    tiles: list[bytes | None] = [None] * header.tiles
    for index in range(max(wanted) + 1):
        if index in wanted:
            tiles[index] = _expect(fp, header, "T", index, _read_tag(fp))
        else:
            _skip_tile(fp, header, index)
    return Parts({}, alpha, tiles)


def read_parts(fp: IO[bytes], header: Header) -> Parts:
    """Read everything after the header to the end of the file, checking order and checksums.

    Raises TruncatedError, ChecksumError or FormatError.
    """
    metadata: dict[str, bytes] = {}
    while (tag := _read_tag(fp)).islower():
        _add(metadata, tag, _read_whole(fp, tag, METADATA_MAX))
    alpha = None
    if header.has_alpha:
        alpha = _expect(fp, header, "A", found=tag)
        tag = _read_tag(fp)
    tiles: list[bytes | None] = [_expect(fp, header, "T", found=tag)]
    while len(tiles) < header.tiles:
        tiles.append(_expect(fp, header, "T", len(tiles), _read_tag(fp)))
    if fp.read(1):
        raise FormatError("end of file: found bytes after the last tile, allowed are none")
    return Parts(metadata, alpha, tiles)


def salvage_parts(fp: IO[bytes], header: Header) -> Parts:
    """Read what is whole of everything after the header; never raises for damage."""
    metadata: dict[str, bytes] = {}
    alpha: bytes | None = None
    tiles: list[bytes | None] = []
    try:
        while len(tiles) < header.tiles and (tag := _read_tag(fp)):
            data, intact = _read_part(fp, tag, _limit(header, tag, len(tiles)))
            if tag == "T":
                tiles.append(data if intact else None)
            elif not intact and tag not in ("A", *ANCILLARY):
                break  # perhaps a T whose tag was hit: those after it would move up a place
            elif intact and tag == "A":
                alpha = data
            elif intact and tag in ANCILLARY:
                metadata.setdefault(tag, data)
    except (FormatError, TruncatedError):
        pass  # each part is found through the one before it: the rest is lost
    return Parts(metadata, alpha, tiles + [None] * (header.tiles - len(tiles)))


def write(
    header: Header, metadata: Mapping[str, bytes], alpha: bytes | None, tiles: Sequence[bytes]
) -> bytes:
    """Return a whole file; ValueError if the arguments do not make a valid one."""
    if len(tiles) != header.tiles or (alpha is None) is header.has_alpha:
        raise ValueError(
            f"parts: found {len(tiles)} tiles, allowed are {header.tiles}; "
            f"alpha is needed if and only if the mode has it ({header.mode})"
        )
    parts = [(tag, metadata[tag]) for tag in ANCILLARY if tag in metadata]
    if alpha is not None:
        parts.append(("A", alpha))
    data = [header.pack()]
    for index, (tag, body) in enumerate([*parts, *(("T", tile) for tile in tiles)]):
        limit = _limit(header, tag, max(0, index - len(parts)))
        if len(body) > limit:
            name = ANCILLARY.get(tag, f"part {tag}")
            raise ValueError(f"{name}: found {len(body)} bytes, allowed are {limit}")
        start = tag.encode() + pack_varint(len(body))
        data += [start, body, CRC.pack(zlib.crc32(body, zlib.crc32(start)))]
    return b"".join(data)
