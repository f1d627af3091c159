"""The bad test vectors: one fault each, named for it; checksums fit unless they are the fault."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from samples import join, part, resealed, split
from vector_good import MODEL, escaped, picture, saved, whole_payloads, with_alpha

import lic_models
from lic_models import rangecoder
from lic_models.codec import Coded
from lic_models.errors import StreamError
from lic_models.rangecoder import ESCAPE_BITS, SymbolEncoder, bit, categorical, table_halves
from pillow_lic.header import pack_varint


class Bad(NamedTuple):
    """A file that every reader of a class rejects with one error."""

    name: str
    comment: str
    data: bytes
    error: str
    reader: str = "container"


def _fields(header: bytes, rest: bytes) -> Iterator[Bad]:
    """Header fields outside their range."""
    for name, offset, value, comment in (
        ("signature", 0, b"\x89", "first byte 0x89"),
        ("version_0", 8, b"\0", "version 0"),
        ("version_2", 8, b"\2", "version 2, with all else as in version 1"),
        ("flags", 9, b"\2", "reserved flag"),
        ("flags_high", 9, b"\x80", "flag 7, reserved"),
        ("colour_mode", 10, b"\4", "colour mode 4"),
        ("bit_depth", 10, b"\x22", "bit depth code 2"),
        ("bit_depth_15", 10, b"\xf2", "bit depth code 15"),
        ("level_99", 20, struct.pack("<H", 99), "level 99"),
        ("level_10001", 20, struct.pack("<H", 10001), "level 10001"),
    ):
        yield Bad(name, comment, resealed(header, offset, value) + rest, "FormatError")


def _sized(header: bytes, width: bytes, height: bytes, tile: int = 0) -> bytes:
    """Return a header of another size, given as varints; `tile` is in units."""
    body = header[:22] + bytes([tile]) + width + height
    return body + struct.pack("<I", zlib.crc32(body))


def _sizes(header: bytes, rest: bytes) -> Iterator[Bad]:
    for name, width, height, comment in (
        ("width_0", b"\0", b"\x0c", "width 0"),
        ("height_0", b"\x14", b"\0", "height 0"),
        ("width_large", pack_varint((1 << 30) + 1), b"\1", "width 2^30 + 1"),
        ("tile_large", pack_varint(1 << 15), pack_varint(1 << 14), "a tile of 2^29 pixels"),
        ("width_wraps", pack_varint((1 << 32) + 20), b"\x0c", "width 2^32 + 20"),
        ("tile_line_over", b"\1", pack_varint((1 << 18) + 1), "one tile of 1 x (2^18 + 1)"),
        ("varint_long", b"\x94\x80\x80\x80\x80\0", b"\x0c", "width in 6 bytes"),
        ("varint_padded", b"\x94\0", b"\x0c", "width 20 not in its shortest form"),
    ):
        yield Bad(name, comment, _sized(header, width, height) + rest, "FormatError")


def _limits(header: bytes) -> Iterator[Bad]:
    """Numbers at their limits and beyond, and then the end, as whole files would be large.

    Of a number that is allowed the reader says that the file ends, of another that it is not.
    """
    side = 1 << 30
    for name, tile, most, over, comment in (
        ("width", 1, (side, 1), (side + 1, 1), "width 2^30"),
        ("height", 1, (1, side), (1, side + 1), "height 2^30"),
        ("tile_area", 0, (4096, 4096), (4096, 4097), "one tile of 4096 x 4096"),
        ("tile_strip", 255, (20000, 1024), (20000, 1025), "tiles of 16320 x 1024"),
    ):
        at, beyond = (_sized(header, *map(pack_varint, size), tile) for size in (most, over))
        yield Bad(f"{name}_most", f"{comment}, then the end", at, "TruncatedError")
        yield Bad(f"{name}_over", f"{comment} and one line more", beyond, "FormatError")
    line = _sized(header, b"\1", pack_varint(1 << 18))
    yield Bad("tile_line_most", "one tile of 1 x 2^18, then the end", line, "TruncatedError")
    la, sequence = resealed(header, 10, b"\1"), resealed(header, 9, b"\1")
    for name, start, tag, limit in (
        ("tile", header, "T", (1 << 16) + 16 * 20 * 12),
        ("metadata", header, "i", 1 << 26),
        ("unknown", header, "q", 1 << 26),
        ("alpha", la, "A", (1 << 16) + 2 * 20 * 12),
        ("alpha_16", resealed(la, 10, b"\x11"), "A", (1 << 16) + 4 * 20 * 12),
        ("times", sequence, "F", 5 * ((1 << 20) + 2)),
    ):
        at, beyond = (start + tag.encode() + pack_varint(size) for size in (limit, limit + 1))
        claim = f"part {tag} as long as its limit, then the end"
        yield Bad(f"length_{name}_most", claim, at, "TruncatedError")
        if tag not in "Ti":  # those are `length_over_limit` and `length_metadata`
            claim = f"part {tag} one byte over its limit"
            yield Bad(f"length_{name}_over", claim, beyond, "FormatError")


def _claims(header: bytes) -> Iterator[Bad]:
    """What a few bytes claim costs no memory before the parts are there that hold it."""
    side = pack_varint(1 << 30)
    start = _sized(resealed(header, 10, b"\1"), side, side, 1)
    comment = "2^60 opaque samples and as many pixels, then the end"
    yield Bad("alpha_claims", comment, start + part("A", b"\4\xff"), "TruncatedError")


def _last_tile(header: bytes) -> Iterator[Bad]:
    """The limit of a tile that is smaller than the first."""
    start = _sized(header, pack_varint(192), pack_varint(20), 2) + part("T", b"") + b"T"
    limit = (1 << 16) + 16 * 64 * 20
    claim = "part T of a last tile of 64 x 20"
    at, beyond = (start + pack_varint(size) for size in (limit, limit + 1))
    yield Bad(
        "length_last_most", f"{claim} as long as its limit, then the end", at, "TruncatedError"
    )
    yield Bad("length_last_over", f"{claim} one byte over its limit", beyond, "FormatError")


def _ends(header: bytes, data: bytes) -> Iterator[Bad]:
    """Files that are too short, or damaged under a checksum."""
    yield Bad("empty", "no bytes at all", b"", "TruncatedError")
    yield Bad("cut_header", "ends within the header", data[:25], "TruncatedError")
    yield Bad("cut_after_header", "ends after the header", header, "TruncatedError")
    yield Bad("cut_part", "ends within part T", data[:-6], "TruncatedError")
    level = header[:20] + b"\x4d" + header[21:]
    yield Bad("checksum_header", "level changed", level + data[len(header) :], "ChecksumError")
    hurt = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    yield Bad("checksum_part", "one bit of part T changed", hurt, "ChecksumError")
    zeros = data[:-4] + bytes(4)
    yield Bad("checksum_zero", "checksum of part T overwritten with 0", zeros, "ChecksumError")


def _order(header: bytes, t: bytes) -> Iterator[Bad]:
    """Parts that are unknown, misplaced, missing or too many."""
    icc, format_ = part("i", b"profile"), "FormatError"
    yield Bad("tag", "a tag that is no letter", header + part("1", b"") + t, format_)
    yield Bad("tag_between", "the tag `, between Z and a", header + part("`", b"") + t, format_)
    high = b"\xe9\0" + struct.pack("<I", zlib.crc32(b"\xe9\0"))
    yield Bad("tag_high", "the tag 0xE9, a letter in Latin-1", header + high + t, format_)
    yield Bad("critical_unknown", "unknown part Q", header + part("Q", b"") + t, format_)
    yield Bad("metadata_twice", "two parts i", header + icc + icc + t, format_)
    for tag in "exp":
        twice = header + part(tag, b"some") + part(tag, b"more") + t
        yield Bad(f"metadata_twice_{tag}", f"two parts {tag}", twice, format_)
    yield Bad("metadata_late", "part i after part T", header + t + icc, format_)
    hurt = icc[:-4] + bytes(4)
    yield Bad("checksum_metadata", "part i damaged", header + hurt + t, "ChecksumError")
    odd = part("q", b"?")[:-4] + bytes(4)
    yield Bad("checksum_unknown", "unknown part q damaged", header + odd + t, "ChecksumError")
    many = part("q", b"") * 1025
    yield Bad("ancillary_many", "1025 unknown parts", header + many + t, format_)
    many = part("q", b"") * 1024 + icc
    yield Bad("ancillary_many_known", "1024 unknown parts and i", header + many + t, format_)
    yield Bad("alpha_unexpected", "part A in mode RGB", header + part("A", b"\4\0") + t, format_)
    yield Bad("tile_twice", "two parts T for one tile", header + t + t, format_)
    yield Bad("trailing_byte", "one byte after the last part", header + t + b"\0", format_)
    yield Bad("two_files", "a file after the file", (header + t) * 2, format_)
    claim = b"T" + pack_varint((64 << 10) + 16 * 20 * 12 + 1)
    yield Bad("length_over_limit", "part T one byte over its limit", header + claim, format_)
    claim = b"i" + pack_varint((64 << 20) + 1)
    yield Bad("length_metadata", "part i one byte over its limit", header + claim, format_)
    padded = b"T\x80\0" + struct.pack("<I", zlib.crc32(b"T\x80\0"))
    yield Bad("length_padded", "length 0 not in its shortest form", header + padded, format_)
    claim = b"T" + pack_varint(60000) + b"few"
    yield Bad("length_lie", "part T shorter than it says", header + claim, "TruncatedError")


def _tiles() -> Iterator[Bad]:
    header, parts = split(saved(picture("RGB", 150, 60), tile=64))
    few = join(header, parts[:2])
    yield Bad("tile_missing", "two parts T for three tiles", few, "TruncatedError")
    between = join(header, [parts[0], ("x", b"<x/>"), *parts[1:]])
    yield Bad("metadata_between", "part x between tiles", between, "FormatError")


def _alphas() -> Iterator[Bad]:
    header, parts = split(with_alpha(4, b"\x80"))
    yield Bad("alpha_missing", "mode LA without part A", join(header, parts[1:]), "FormatError")
    twice = join(header, [parts[0], *parts])
    yield Bad("alpha_twice", "two parts A", twice, "FormatError")
    late = join(header, [parts[1], parts[0]])
    yield Bad("alpha_late", "part A after part T", late, "FormatError")
    sound = zlib.compress(bytes(240), 9)
    dictionary = zlib.compressobj(zdict=b"abc")
    preset = dictionary.compress(bytes(240)) + dictionary.flush()
    for name, filter_, tail, comment in (
        ("alpha_filter", 5, sound, "reserved filter 5"),
        ("alpha_constant_long", 4, b"\x80\x80", "filter 4 with two values"),
        ("alpha_constant_short", 4, b"", "filter 4 without a value"),
        ("alpha_few", 0, zlib.compress(bytes(239), 9), "239 samples for 20 x 12"),
        ("alpha_many", 0, zlib.compress(bytes(241), 9), "241 samples for 20 x 12"),
        ("alpha_bomb", 0, zlib.compress(bytes(1 << 24), 9), "16 MiB of samples for 20 x 12"),
        ("alpha_cut", 0, sound[:-3], "zlib stream without the end of its checksum"),
        ("alpha_adler", 0, sound[:-1] + bytes([sound[-1] ^ 1]), "wrong Adler-32"),
        ("alpha_deflate", 0, b"\x78\xda\xff", "no zlib stream"),
        ("alpha_preset", 0, preset, "zlib stream with a preset dictionary"),
        ("alpha_trailing", 0, sound + b"\0", "a byte after the zlib stream"),
    ):
        yield Bad(name, comment, with_alpha(filter_, tail), "PayloadError")
    for name, filter_, tail, comment in (
        ("alpha_16_constant_long", 4, b"\x34\x12\0", "filter 4 with three bytes at 16 bits"),
        ("alpha_16_constant_short", 4, b"\x34", "filter 4 with one byte at 16 bits"),
        ("alpha_16_few", 0, sound, "240 bytes for 20 x 12 at 16 bits"),
        ("alpha_16_many", 0, zlib.compress(bytes(481), 9), "481 bytes for 20 x 12 at 16 bits"),
    ):
        yield Bad(name, comment, with_alpha(filter_, tail, 16), "PayloadError")
    empty = join(header, [("A", b""), *parts[1:]])
    yield Bad("alpha_empty", "part A without data", empty, "PayloadError")


def _sequences() -> Iterator[Bad]:
    times = {"save_all": True, "append_images": [picture("L", 20, 12)]}
    header, parts = split(saved(picture("L", 20, 12), **times))
    over = pack_varint(1 << 31)
    for name, found, error, comment in (
        ("times_missing", parts[1:], "FormatError", "a sequence without part F"),
        ("times_empty", [("F", b""), *parts[1:]], "FormatError", "part F without data"),
        ("times_none", [("F", b"\0\0"), *parts[1:]], "FormatError", "no frames"),
        ("times_few", [("F", b"\0\2\1"), *parts[1:]], "FormatError", "one duration for two frames"),
        ("times_many", [("F", b"\0\2\1\1\1"), *parts[1:]], "FormatError", "a number too many"),
        ("times_loop", [("F", over + b"\2\1\1"), *parts[1:]], "FormatError", "loop 2^31"),
        ("times_duration", [("F", b"\0\2\1" + over), *parts[1:]], "FormatError", "duration 2^31"),
        ("times_padded", [("F", b"\0\2\1\x81\0"), *parts[1:]], "FormatError", "1 as two bytes"),
        ("times_twice", [parts[0], *parts], "FormatError", "two parts F"),
        ("frame_missing", parts[:-1], "TruncatedError", "one frame where there should be two"),
        ("frame_extra", [*parts, parts[-1]], "FormatError", "three frames instead of two"),
    ):
        yield Bad(name, comment, join(header, found), error)
    reserved = join(resealed(header, 9, b"\3"), parts)
    yield Bad("flags_sequence", "reserved flag in a sequence", reserved, "FormatError")
    times = {"save_all": True, "append_images": [picture("LA", 20, 12)]}
    header, parts = split(saved(picture("LA", 20, 12), **times))
    between = join(header, [parts[0], ("x", b"<x/>"), *parts[1:]])
    yield Bad("metadata_after_times", "part x between parts F and A", between, "FormatError")
    header, parts = split(saved(picture("L", 20, 12)))
    still = join(header, [("F", b"\0\1\1"), *parts])
    yield Bad("times_unexpected", "part F in a still image", still, "FormatError")


def _long_escape() -> bytes:
    """Return a payload whose first symbol is an escape with too many prefix bits."""
    codec = lic_models.load(MODEL, device="cpu")
    steps = codec.model.steps(codec.model.shapes(64, 64), 7500)
    with torch.inference_mode():
        first = next(steps)
        while not first.index.any():  # nothing of this step is coded
            first = steps.send(first.mean)
    index = int(first.index[first.index > 0].min())
    count = int((first.index == index).sum())
    half = table_halves()[index]
    letters = np.full(count, half, np.int32)
    letters[0] = 2 * half + 1
    coder = SymbolEncoder()
    coder.coder.encode(letters, categorical(index))
    coder.coder.encode(np.ones(40, np.int32), bit())
    return coder.finish()


def _refused(payload: bytes, change: Callable[[bytes, int], bytes]) -> bytes:
    """Return the first changed payload that is refused because of its end."""
    codec = lic_models.load(MODEL, device="cpu")
    for n in range(1000):
        changed = change(payload, n)
        try:
            codec.decode_latents(Coded([changed], 20, 12, 7500, 0))
        except StreamError as error:
            if "after the last symbol" in str(error):
                return changed
    raise AssertionError("no change of the payload is refused")


def _payloads(header: bytes, payload: bytes) -> Iterator[Bad]:
    def last_word(data: bytes, n: int) -> bytes:
        return data[:-4] + struct.pack("<I", (n + 1) * 4294967 % (1 << 32))

    with whole_payloads():
        whole = split(saved(picture("RGB", 20, 12)))[1][0][1]
    for name, data, comment in (
        ("payload_bytes", payload + b"\0", "length no multiple of 4"),
        ("payload_first", b"\2" + whole[1:], "a first byte of 2 in a whole payload"),
        ("payload_first_more", b"\1" + payload + b"\0", "one byte too many in a whole payload"),
        ("payload_words", payload + bytes(8), "two words after the end"),
        ("payload_end", _refused(payload, last_word), "another last word"),
        ("payload_range", b"\xff" * 16, "first letter beyond the last cumulative weight"),
        ("payload_escape", _long_escape(), f"an escape with over {ESCAPE_BITS} prefix bits"),
    ):
        yield Bad(name, comment, join(header, [("T", data)]), "PayloadError", "entropy")
    with mock.patch.object(rangecoder, "ESCAPE_BITS", ESCAPE_BITS + 1):
        longer = escaped(1 << ESCAPE_BITS + 1)
    comment = f"an escape with {ESCAPE_BITS + 1} prefix bits; all else is sound"
    yield Bad("payload_escape_over", comment, longer, "PayloadError", "entropy")


def bad() -> Iterator[Bad]:
    """Yield the vectors in the order of `vectors.toml`."""
    data = saved(picture("RGB", 20, 12))
    header, parts = split(data)
    rest = data[len(header) :]
    yield from _fields(header, rest)
    yield from _sizes(header, rest)
    yield from _limits(header)
    yield from _claims(header)
    yield from _last_tile(header)
    yield from _ends(header, data)
    yield from _order(header, rest)
    yield from _tiles()
    yield from _alphas()
    yield from _sequences()
    model = resealed(header, 11, b"\xff") + rest
    yield Bad("model_unknown", "model 255", model, "UnknownModelError", "entropy")
    weights = resealed(header, 12, bytes(8)) + rest
    yield Bad("weights_unknown", "fingerprint 0", weights, "WeightsNotFoundError", "entropy")
    yield from _payloads(header, parts[0][1])
