"""The `.lic` container: a header, then parts, each with its own checksum.

Only bytes and numbers here: no pixels, no networks, nothing outside the standard library.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

from ._timing import TIMING_MAX, Timing
from .errors import ChecksumError, FormatError, TruncatedError
from .header import CRC, Header, pack_varint, read_exactly, read_header, read_varint

__all__ = [
    "ANCILLARY",
    "METADATA",
    "PREVIEW",
    "Coded",
    "Header",
    "Parts",
    "Timing",
    "read_frame",
    "read_frames",
    "read_header",
    "read_metadata",
    "read_parts",
    "read_preview",
    "read_some",
    "read_timing",
    "salvage_parts",
    "skip_frame",
    "write",
    "write_frames",
]

METADATA = {"i": "icc_profile", "e": "exif", "x": "xmp"}
PREVIEW = "p"
CRITICAL = "FAT"  # tags that a reader has to know, in the order of a file
ANCILLARY = {**METADATA, PREVIEW: "preview"}  # in writing order
METADATA_MAX = 64 << 20
ANCILLARY_MAX = 1024  # parts, unknown ones among them


class Parts(NamedTuple):
    """All that follows the header. None is a tile that nobody asked for, or what was lost.

    `metadata` holds the known ancillary parts by tag, the preview among them.
    """

    metadata: dict[str, bytes]
    alpha: bytes | None
    tiles: Sequence[bytes | None]
    timing: Timing | None = None


class _Some(Sequence[bytes | None]):
    """A few tiles of however many the header claims."""

    def __init__(self, count: int, found: Mapping[int, bytes]) -> None:
        self._count, self._found = count, found

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._found.get(index)


class _Part(NamedTuple):
    data: bytes
    intact: bool


def _read_tag(fp: IO[bytes]) -> str:
    """Return the tag of the next part, or "" at the end of the file."""
    raw = fp.read(1)
    if raw and not raw.isalpha():
        raise FormatError(f"tag: found byte {raw.hex()}, allowed is an ASCII letter")
    tag = raw.decode("ascii")
    if tag.isupper() and tag not in CRITICAL:
        known = ", ".join(CRITICAL)
        raise FormatError(f"part {tag}: found an unknown critical part, known are {known}")
    return tag


def _limit(header: Header, tag: str, index: int) -> int:
    """Return how long a part may be: generous for a coder, hopeless for an attacker."""
    if tag == "A":
        return (64 << 10) + header.depth // 4 * header.width * header.height
    if tag == "T":
        width, height = header.tile_size(index)
        return (64 << 10) + 16 * width * height
    return TIMING_MAX if tag == "F" else METADATA_MAX


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


def _ancillary(fp: IO[bytes]) -> Iterator[str]:
    """Yield the tags of the parts before the image data; who gets one reads or skips its part."""
    for count in range(ANCILLARY_MAX + 1):
        tag = _read_tag(fp)
        if not tag.islower():
            if tag:
                fp.seek(-1, 1)
            return
        if count < ANCILLARY_MAX:
            yield tag
    raise FormatError(f"ancillary parts: found more, allowed are {ANCILLARY_MAX}")


def _pass(fp: IO[bytes], count: int) -> None:
    try:
        fp.seek(count, 1)
    except ValueError as error:  # a mapped file does not go past its end
        raise TruncatedError("image file is truncated: a part is longer than the rest") from error


def _skip_ancillary(fp: IO[bytes], tag: str) -> None:
    length, _ = _read_length(fp, tag, METADATA_MAX)
    _pass(fp, length + CRC.size)


def _add(metadata: dict[str, bytes], tag: str, data: bytes) -> None:
    if tag in metadata:
        raise FormatError(f"part {tag}: found twice, allowed is once")
    if tag in ANCILLARY:  # any other ancillary part means nothing to us
        metadata[tag] = data


def read_metadata(fp: IO[bytes], *, tolerant: bool = False) -> dict[str, bytes]:
    """Read the known parts between the header and the image data.

    Unknown parts and the preview are skipped unread. `tolerant` leaves out damaged parts instead
    of raising.
    """
    metadata: dict[str, bytes] = {}
    try:
        for tag in _ancillary(fp):
            if tag not in METADATA:
                _skip_ancillary(fp, tag)
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
        for tag in _ancillary(fp):
            if tag == PREVIEW:
                part = _read_part(fp, tag, METADATA_MAX)
                return part.data if part.intact else None
            _skip_ancillary(fp, tag)
    except (FormatError, TruncatedError):
        pass  # `load` will say what is wrong
    return None


def _expect(fp: IO[bytes], header: Header, tag: str, found: str, index: int = 0) -> bytes:
    name = f"part T {index + 1} of {header.tiles}" if tag == "T" else f"part {tag}"
    if not found:
        raise TruncatedError(f"image file is truncated: {name} is missing")
    if found != tag:
        raise FormatError(f"{name}: found part {found} in its place")
    return _read_whole(fp, tag, _limit(header, tag, index))


def _skip_part(fp: IO[bytes], header: Header, tag: str, index: int = 0) -> None:
    found = _read_tag(fp)
    if found != tag:
        _expect(fp, header, tag, found, index)  # raises
    length, _ = _read_length(fp, tag, _limit(header, tag, index))
    _pass(fp, length + CRC.size)


def _start(fp: IO[bytes], header: Header, *, skip: bool) -> tuple[dict[str, bytes], Timing | None]:
    """Read or skip the ancillary parts, and read the timing of a sequence."""
    metadata: dict[str, bytes] = {}
    for tag in _ancillary(fp):
        if skip:
            _skip_ancillary(fp, tag)
        else:
            _add(metadata, tag, _read_whole(fp, tag, METADATA_MAX))
    if not header.sequence:
        return metadata, None
    return metadata, Timing.unpack(_expect(fp, header, "F", _read_tag(fp)))


def read_timing(fp: IO[bytes], header: Header) -> Timing | None:
    """Read the timing of a sequence from where the parts begin; the first frame is next then."""
    return _start(fp, header, skip=True)[1]


def skip_frame(fp: IO[bytes], header: Header) -> None:
    """Go from where a frame begins to the next, looking at lengths only."""
    if header.has_alpha:
        _skip_part(fp, header, "A")
    for index in range(header.tiles):
        _skip_part(fp, header, "T", index)


def read_frame(fp: IO[bytes], header: Header, wanted: Collection[int] | None = None) -> Parts:
    """Read alpha and tiles from where a frame begins; of the tiles only those wanted.

    The others are None, and their checksums stay unchecked.
    """
    alpha = _expect(fp, header, "A", _read_tag(fp)) if header.has_alpha else None
    if wanted is None:
        every = [_expect(fp, header, "T", _read_tag(fp), i) for i in range(header.tiles)]
        return Parts({}, alpha, every)
    some: dict[int, bytes] = {}
    for index in range(max(wanted) + 1):
        if index in wanted:
            some[index] = _expect(fp, header, "T", _read_tag(fp), index)
        else:
            _skip_part(fp, header, "T", index)
    return Parts({}, alpha, _Some(header.tiles, some))


def read_some(fp: IO[bytes], header: Header, wanted: Collection[int]) -> Parts:
    """Read alpha and the wanted tiles of the first frame from where the parts begin.

    Raises TruncatedError, ChecksumError or FormatError.
    """
    _start(fp, header, skip=True)
    return read_frame(fp, header, wanted)


def read_parts(fp: IO[bytes], header: Header) -> Parts:
    """Read everything after the header to the end of the file, checking order and checksums.

    Of a sequence the first frame is returned; the others are checked. Raises TruncatedError,
    ChecksumError or FormatError.
    """
    frames = read_frames(fp, header)
    first = next(frames)
    for _ in frames:
        pass
    return first


def read_frames(fp: IO[bytes], header: Header) -> Iterator[Parts]:
    """Read like `read_parts`, and yield all frames one after another, metadata with each."""
    metadata, timing = _start(fp, header, skip=False)
    for _ in timing.durations if timing else (0,):
        yield read_frame(fp, header)._replace(metadata=metadata, timing=timing)
    if fp.read(1):
        raise FormatError("end of file: found bytes after the last tile, allowed are none")


def salvage_parts(fp: IO[bytes], header: Header) -> Parts:
    """Read what is whole from where the parts or a frame begin; never raises for damage."""
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
    return b"".join(write_frames(header, metadata, None, [(alpha, tiles)]))


Coded = tuple[bytes | None, Sequence[bytes]]  # alpha and tiles of a frame


def write_frames(
    header: Header, metadata: Mapping[str, bytes], timing: Timing | None, frames: Iterable[Coded]
) -> Iterator[bytes]:
    """Yield a file piece by piece, frame by frame; ValueError if it would not be a valid one."""
    if (timing is None) is header.sequence:
        raise ValueError(f"timing: found {timing}, needed if and only if it is a sequence")
    if unknown := metadata.keys() - ANCILLARY.keys():
        raise ValueError(f"metadata: found {sorted(unknown)}, allowed are {list(ANCILLARY)}")
    data = [header.pack()]
    data += [
        _pack(header, tag, metadata[tag], ANCILLARY[tag]) for tag in ANCILLARY if tag in metadata
    ]
    if timing is not None:
        data.append(_pack(header, "F", timing.pack(), "part F"))
    yield b"".join(data)
    count = 0
    for alpha, tiles in frames:
        if len(tiles) != header.tiles or (alpha is None) is header.has_alpha:
            raise ValueError(
                f"parts: found {len(tiles)} tiles, allowed are {header.tiles}; "
                f"alpha is needed if and only if the mode has it ({header.mode})"
            )
        if alpha is not None:
            yield _pack(header, "A", alpha, "part A")
        for index, tile in enumerate(tiles):
            yield _pack(header, "T", tile, "part T", index)
        count += 1
    if count != (len(timing.durations) if timing else 1):
        raise ValueError(f"frames: found {count}, allowed is as many as there are durations")


def _pack(header: Header, tag: str, body: bytes, name: str, index: int = 0) -> bytes:
    limit = _limit(header, tag, index)
    if len(body) > limit:
        raise ValueError(f"{name}: found {len(body)} bytes, allowed are {limit}")
    start = tag.encode() + pack_varint(len(body))
    return start + body + CRC.pack(zlib.crc32(body, zlib.crc32(start)))
