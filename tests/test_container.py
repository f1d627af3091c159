"""The container: literal bytes, what is read, and every rule that a file can break."""

from __future__ import annotations

import io
import mmap
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import HEADER, join, part, resealed

from pillow_lic import container, errors, header
from pillow_lic.errors import ChecksumError, FormatError, TruncatedError

PLAIN = container.write(HEADER, {}, None, [b"pixels"])
PACKED = HEADER.pack()


def read(data: bytes) -> tuple[container.Header, container.Parts]:
    """Read a whole file."""
    file = io.BytesIO(data)
    found = container.read_header(file)
    return found, container.read_parts(file, found)


def test_golden_bytes() -> None:
    """A change of these bytes is a change of the format."""
    assert (
        bytes.fromhex(
            "8a4c49430d0a1a0a"  # signature
            "01 00 02 00"  # version, flags, RGB in 8 bits, model tiny
            "7765696768747321"  # fingerprint
            "4c1d 00"  # level 7500, one tile
            "05 03"  # width, height
            "ffb454ce"
            "54 06 706978656c73"  # T, six bytes
            "078a4da8"
        )
        == PLAIN
    )


def test_overhead_is_at_most_40_bytes() -> None:
    """What one tile costs around its payload, for sides up to 16383."""
    photo = HEADER._replace(width=768, height=512)
    assert len(container.write(photo, {}, None, [bytes(50_000)])) == 50_000 + 39
    large = HEADER._replace(width=16383, height=1024)
    assert len(container.write(large, {}, None, [bytes(1 << 21)])) == (1 << 21) + 40


@given(
    st.builds(
        container.Header,
        width=st.integers(1, 300),
        height=st.integers(1, 300),
        mode=st.sampled_from(header.MODES),
        model=st.integers(0, 255),
        fingerprint=st.binary(min_size=8, max_size=8),
        level=st.integers(100, 10000),
        tile=st.integers(0, 255).map(lambda units: 64 * units),
        depth=st.sampled_from(header.DEPTHS),
        sequence=st.just(False),
    ),
    st.dictionaries(st.sampled_from("iexp"), st.binary(max_size=200)),
    st.binary(max_size=200),
)
@settings(deadline=None, max_examples=150)
def test_what_is_written_is_read(
    fields: container.Header, metadata: dict[str, bytes], coded: bytes
) -> None:
    """Any valid header and parts come back equal."""
    alpha = coded if fields.has_alpha else None
    tiles = [bytes([index & 255]) + coded for index in range(fields.tiles)]
    found, parts = read(container.write(fields, metadata, alpha, tiles))
    assert found == fields
    assert parts[:3] == (metadata, alpha, tiles)


@given(st.integers(0, (1 << 35) - 1))
def test_varint_round_trip(value: int) -> None:
    """Numbers of up to 35 bits fit five bytes and come back."""
    raw = header.pack_varint(value)
    assert len(raw) <= 5
    assert header.read_varint(io.BytesIO(raw), "n") == (value, raw)


@pytest.mark.parametrize("raw", ["8000", "ff00", "808080808001", "ffffffffff01"])
def test_varint_long_form(raw: str) -> None:
    """A number has one form only."""
    with pytest.raises(FormatError, match="n: found"):
        header.read_varint(io.BytesIO(bytes.fromhex(raw)), "n")


def test_header_is_read_exactly() -> None:
    """Reading the header takes not one byte of what follows."""
    file = io.BytesIO(PLAIN)
    container.read_header(file)
    assert file.tell() == len(PACKED) == 29


def test_tiles_are_in_raster_order() -> None:
    """The last column and the last row are smaller."""
    grid = HEADER._replace(width=150, height=70, tile=64)
    sizes = [grid.tile_size(index) for index in range(grid.tiles)]
    assert sizes == [(64, 64), (64, 64), (22, 64), (64, 6), (64, 6), (22, 6)]


def test_another_version_is_told_by_its_byte_alone() -> None:
    """Its header may be shorter."""
    with pytest.raises(FormatError, match="version: found 2"):
        container.read_header(io.BytesIO(PACKED[:8] + b"\x02rest"))


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, b"\x02", "version: found 2, allowed is 1"),
        (9, b"\x02", "flags: found 2, allowed are 0 and 1"),
        (10, b"\x04", "colour mode: found 4, allowed is 0 to 3"),
        (10, b"\x22", r"bit depth: found code 2, allowed are 0 \(8 bits\)"),
        (20, b"\x63\x00", "level: found 99, allowed is 100 to 10000"),
        (20, b"\x11\x27", "level: found 10001, allowed is 100 to 10000"),
        (23, b"\x00", "width: found 0, allowed is 1 to 1073741824"),
        (24, b"\x00", "height: found 0, allowed is 1 to 1073741824"),
        (23, b"\x81\x80\x80\x80\x04\x01", "width: found 1073741825"),
        (23, b"\x80\x80\x80\x80\x04\x80\x80\x80\x80\x04", "tile: found 1073741824x1073741824 pix"),
        (23, b"\x85\x00\x03", "width: found 85 00, allowed is only the shortest form"),
    ],
)
def test_header_field_out_of_range(offset: int, value: bytes, message: str) -> None:
    """The error names the field, what was found and what is allowed."""
    room = PACKED[:-4] + b"\0" * max(0, offset + len(value) - 25) + b"CRC?"
    with pytest.raises(FormatError, match=message):
        container.read_header(io.BytesIO(resealed(room, offset, value)))


def test_any_model_id_parses() -> None:
    """Opening does not need to know the model."""
    found = container.read_header(io.BytesIO(resealed(PACKED, 11, b"\xc8")))
    assert (found.model, found.model_name) == (200, "200")


def test_header_checksum() -> None:
    """Damage to a field that may hold anything is seen all the same."""
    with pytest.raises(ChecksumError, match="header"):
        container.read_header(io.BytesIO(PACKED[:12] + b"!" + PACKED[13:]))


T = part("T", b"pixels")
BAD_PARTS = {
    "no tile": (b"", TruncatedError, "part T 1 of 1 is missing"),
    "trailing byte": (T + b"\0", FormatError, "found bytes after the last tile"),
    "second tile": (T + T, FormatError, "found bytes after the last tile"),
    "second file": (T + PLAIN, FormatError, "found bytes after the last tile"),
    "second header": (PACKED + T, FormatError, "tag: found byte 8a"),
    "unknown critical": (part("Q", b"") + T, FormatError, "part Q: found an unknown critical"),
    "tag no letter": (part("1", b"") + T, FormatError, "tag: found byte 31"),
    "alpha without mode": (part("A", b"") + T, FormatError, "found part A in its place"),
    "metadata twice": (part("e", b"") * 2 + T, FormatError, "part e: found twice"),
    "length cut": (b"T", TruncatedError, "length of part T"),
    "data cut": (T[:5], TruncatedError, "part T has 6 bytes, found 3"),
    "checksum cut": (T[:-1], TruncatedError, "checksum of part T has 4 bytes, found 3"),
    "checksum wrong": (T[:-1] + b"?", ChecksumError, "part T: the checksum does not fit"),
    "unknown damaged": (part("q", b"")[:-1] + b"?" + T, ChecksumError, "part q"),
    "length long form": (b"T\x86\x00" + T[2:], FormatError, "only the shortest form"),
    "tile too long": (b"T\xff\xff\xff\x7f" + T, FormatError, "length of part T: found 268435455"),
    "exif too long": (b"e\x81\x80\x80\x20" + T, FormatError, "allowed is at most 67108864"),
}


@pytest.mark.parametrize("name", BAD_PARTS)
def test_parts_against_the_rules(name: str) -> None:
    """One fault each."""
    data, error, message = BAD_PARTS[name]
    with pytest.raises(error, match=message):
        read(PACKED + data)


def test_order_with_alpha() -> None:
    """Alpha stands once, between metadata and tiles."""
    packed = HEADER._replace(mode="RGBA").pack()
    e, a = part("e", b"II"), part("A", b"alpha")
    assert read(packed + e + a + T)[1][:3] == ({"e": b"II"}, b"alpha", [b"pixels"])
    for wrong in (e + T, a + e + T, e + T + a, a + a + T):
        with pytest.raises(FormatError):
            read(packed + wrong)


def test_unknown_ancillary_parts_are_skipped() -> None:
    """A later version may add them without breaking this one."""
    data = PACKED + part("q", b"?" * 300) + part("i", b"icc") + part("q", b"") + T
    assert read(data)[1][:3] == ({"i": b"icc"}, None, [b"pixels"])
    file = io.BytesIO(data)
    file.seek(len(PACKED))
    assert container.read_metadata(file) == {"i": b"icc"}


def test_ancillary_parts_are_limited() -> None:
    """A million empty ones would take seconds before the header is known to be worth it."""
    some, more = (part("q", b"") * count + T for count in (1024, 1025))
    assert read(PACKED + some)[1].tiles == [b"pixels"]
    file = io.BytesIO(PACKED + more)
    for reader in (container.read_metadata, container.read_preview):
        file.seek(len(PACKED))
        if reader is container.read_preview:
            assert reader(file) is None
            continue
        with pytest.raises(FormatError, match="ancillary parts: found more, allowed are 1024"):
            reader(file)
    with pytest.raises(FormatError, match="ancillary"):
        read(PACKED + more)


@pytest.mark.parametrize(
    ("tag", "reader"), [("z", container.read_timing), ("T", container.skip_frame)]
)
def test_a_mapped_file_ends_where_it_ends(tag: str, reader: Callable[..., object]) -> None:
    """Files can be gone beyond; maps say ValueError."""
    data = PACKED + tag.encode() + header.pack_varint(1000) + b"short"
    with mmap.mmap(-1, len(data)) as mapped:
        mapped[:] = data
        head = container.read_header(mapped)  # type: ignore[arg-type]
        with pytest.raises(TruncatedError):
            reader(mapped, head)


def test_a_claimed_length_allocates_nothing() -> None:
    """60 MiB claimed, nothing there: memory stays with what the file holds."""
    data = PACKED + b"e" + header.pack_varint(60 << 20) + b"short"
    tracemalloc.start()
    try:
        with pytest.raises(TruncatedError):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_no_more_is_asked_for_at_once_than_a_chunk() -> None:
    """Files that are not in memory make room for all that is asked of them."""
    asked: list[int] = []

    class File(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(-1 if size is None else size)
            return super().read(size)

    with pytest.raises(TruncatedError, match="60000000 bytes, found 5"):
        header.read_exactly(File(b"fewer"), 60_000_000, "part i")
    assert all(0 <= size <= 1 << 20 for size in asked)


def test_salvage_keeps_what_is_whole() -> None:
    """A damaged tile is lost alone; after a cut, or a damaged tag, the rest is lost too."""
    grid = HEADER._replace(width=192, height=64, tile=64)
    tiles = [part("T", bytes([n])) for n in range(3)]

    def salvage(*parts: bytes) -> container.Parts:
        return container.salvage_parts(io.BytesIO(b"".join(parts)), grid)

    hurt = tiles[1][:-1] + b"?"
    assert salvage(*tiles).tiles == [b"\0", b"\1", b"\2"]
    assert salvage(tiles[0], hurt, tiles[2]).tiles == [b"\0", None, b"\2"]
    assert salvage(tiles[0], tiles[1][:3]).tiles == [b"\0", None, None]
    assert salvage(tiles[0], b"t" + tiles[1][1:], tiles[2]).tiles == [b"\0", None, None]
    assert salvage(part("e", b"x")[:-1] + b"?", *tiles).tiles == [b"\0", b"\1", b"\2"]
    assert salvage().tiles == [None] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width: found 0"),
        ({"height": (1 << 30) + 1}, "height: found 1073741825"),
        ({"mode": "CMYK"}, "colour mode: found 'CMYK', allowed are L, LA, RGB, RGBA"),
        ({"model": 256}, "model id: found 256"),
        ({"fingerprint": b"short"}, "fingerprint: found 5 bytes"),
        ({"level": 0}, "level: found 0"),
        ({"tile": 100}, "tile: found 100"),
        ({"tile": 16384}, "tile: found 16384"),
    ],
)
def test_writing_what_cannot_be_read(change: dict[str, object], message: str) -> None:
    """The writer refuses what the reader would."""
    with pytest.raises(ValueError, match=message):
        HEADER._replace(**change).pack()  # type: ignore[arg-type]


def test_writing_parts_that_do_not_fit() -> None:
    """The number of tiles, alpha, and the lengths are checked."""
    for metadata, alpha, tiles in (
        ({}, None, []),
        ({}, b"alpha", [b""]),
        ({}, None, [bytes(1 << 17)]),
        ({"x": bytes((64 << 20) + 1)}, None, [b""]),
        ({"y": b"unknown"}, None, [b""]),
    ):
        with pytest.raises(ValueError, match="found"):
            container.write(HEADER, metadata, alpha, tiles)
    assert join(PACKED, [("T", b"pixels")]) == PLAIN


TIMES = container.Timing(3, (0, 40, 70000))


def sequence(timing: bytes | None = None, frames: int = 3, mode: str = "L") -> bytes:
    """A sequence of three frames, or what the arguments make of it."""
    head = HEADER._replace(sequence=True, mode=mode).pack()
    data = TIMES.pack() if timing is None else timing
    one = (part("A", b"\x04\xff") if mode == "LA" else b"") + T
    return head + part("F", data) + one * frames


def test_frames_come_back() -> None:
    """One after another, or by skipping."""
    head = HEADER._replace(sequence=True, mode="LA")
    coded = [(b"\x04\xff", [bytes([number])]) for number in range(3)]
    data = b"".join(container.write_frames(head, {"x": b"<x/>"}, TIMES, coded))
    file = io.BytesIO(data)
    assert container.read_header(file) == head
    start = file.tell()
    found = list(container.read_frames(file, head))
    assert [(f.alpha, f.tiles) for f in found] == coded
    assert {f.timing for f in found} == {TIMES}
    file.seek(start)
    assert container.read_timing(file, head) == TIMES
    container.skip_frame(file, head)
    container.skip_frame(file, head)
    assert container.read_frame(file, head).tiles == [b"\2"]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (sequence(frames=2), errors.TruncatedError, "part T 1 of 1 is missing"),
        (sequence(frames=4), errors.FormatError, "end of file"),
        (sequence(timing=b""), errors.FormatError, "found 0 whole numbers in 0 bytes"),
        (sequence(timing=b"\0\0"), errors.FormatError, "found 2 whole numbers in 2 bytes"),
        (sequence(timing=b"\0\0\1"), errors.FormatError, "frames: found 0 for 1 times"),
        (sequence(timing=b"\0\3\1\1"), errors.FormatError, "frames: found 3 for 2 times"),
        (sequence(timing=b"\0\3\1\1\1\1"), errors.FormatError, "frames: found 3 for 4 times"),
        (sequence(timing=b"\0\3\1\1\x81"), errors.FormatError, "found 4 whole numbers in 5 b"),
        (sequence(timing=b"\0\3\1\1\x81\0"), errors.FormatError, "part F"),
        (sequence(timing=b"\0\x80\x80\x80\1\1"), errors.FormatError, "frames: found 2097152"),
        (sequence(timing=b"\0\x80\x80\x40\1"), errors.FormatError, "frames: found 1048576 for 1"),
        (sequence(timing=b"\xff\xff\xff\xff\x7f\1\1"), errors.FormatError, "allowed is to"),
        (PACKED + part("F", TIMES.pack()) + T, errors.FormatError, "found part F in its place"),
        (HEADER._replace(sequence=True).pack() + T, errors.FormatError, "found part T in its pla"),
    ],
)
def test_sequences_that_are_wrong(data: bytes, error: type, message: str) -> None:
    """Counts and times are checked before anything is made of them."""
    with pytest.raises(error, match=message):
        read(data)


def test_writing_wrong_sequences() -> None:
    head = HEADER._replace(sequence=True)
    for timing, frames, message in (
        (None, [(None, [b""])], "timing"),
        (TIMES, [(None, [b""])], "frames: found 1"),
        (container.Timing(-1, (1,)), [(None, [b""])], "loop"),
        (container.Timing(0, (1 << 31,)), [(None, [b""])], "duration"),
        (container.Timing(0, ()), [], "frames"),
    ):
        with pytest.raises(ValueError, match=message):
            list(container.write_frames(head, {}, timing, frames))
