"""Damaged files: every flip is noticed, every prefix too, and only documented errors come out."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError
from samples import EXIF, ICC, XMP, join, lic, opened, picture, split

from pillow_lic.errors import LicError

QUARTER = 64


@cache
def small() -> bytes:
    """A file with every kind of part."""
    header, parts = split(
        lic(picture("LA", (70, 5)), tile=64, quality=5, exif=EXIF, icc_profile=ICC, xmp=XMP)
    )
    return join(header, [("q", b"unknown"), *parts])


@cache
def film() -> bytes:
    """A sequence of two frames, of 16 bits, with a preview."""
    deep = Image.fromarray(np.arange(40 * 20, dtype=np.uint16).reshape(20, 40) * 80)
    return lic(deep, append_images=[deep.transpose(Image.Transpose.ROTATE_180)], preview=16)


def outcome(data: bytes, *, verify: bool) -> str:
    """Return "sound", or the name of the documented error that the bytes lead to."""
    try:
        image = opened(data)
        image.verify() if verify else image.load()
    except UnidentifiedImageError:
        return "not ours"
    except LicError as error:
        return type(error).__name__
    return "sound"


def test_the_sample_is_sound() -> None:
    """Otherwise the other tests would show nothing."""
    assert outcome(small(), verify=True) == outcome(small(), verify=False) == "sound"
    assert {tag for tag, _ in split(small())[1]} == set("iexAT")
    assert outcome(film(), verify=True) == outcome(film(), verify=False) == "sound"
    assert [tag for tag, _ in split(film())[1]] == ["p", "F", "T", "T"]


@pytest.mark.parametrize("sample", [small, film])
def test_every_bit_flipped(sample: Callable[[], bytes]) -> None:
    """`verify` sees each single bit; in the signature, nobody takes the file for ours."""
    data = sample()
    for position in range(len(data)):
        for bit in range(8):
            hurt = bytearray(data)
            hurt[position] ^= 1 << bit
            found = outcome(bytes(hurt), verify=True)
            assert found != "sound", (position, bit)
            assert (found == "not ours") == (position < 8)


def test_every_byte_flipped() -> None:
    """`load` sees each inverted byte, without asking the networks."""
    data = small()
    for position in range(len(data)):
        hurt = data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]
        assert outcome(hurt, verify=False) != "sound", position


@pytest.mark.parametrize("sample", [small, film])
def test_every_prefix(sample: Callable[[], bytes]) -> None:
    """A file cut anywhere is truncated, or too short to be anything."""
    data = sample()
    for length in range(len(data)):
        for verify in (True, False) if sample is small else (True,):
            found = outcome(data[:length], verify=verify)
            assert found == ("TruncatedError" if length >= 8 else "not ours"), length


def test_any_suffix() -> None:
    """Nothing may follow."""
    for extra in (b"\0", b"T", b"\n", small()):
        for verify in (True, False):
            assert outcome(small() + extra, verify=verify) == "FormatError"


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return a copy with one to four random changes: bytes replaced, removed, inserted, moved."""
    hurt = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(hurt) + 1)
        stop = start + rng.randint(1, 8)
        hurt[start:stop] = rng.choice(
            [rng.randbytes(rng.randint(1, 8)), b"", hurt[start:stop] * 2, hurt[start:stop][::-1]]
        )
    return bytes(hurt)


def test_random_mutations() -> None:
    """5,000 seeded mutations, loaded."""
    rng = random.Random(0)
    for _ in range(5000):
        hurt = mutated(rng, small())
        if hurt != small():
            assert outcome(hurt, verify=False) != "sound", hurt.hex()


def test_mutations_under_a_valid_checksum() -> None:
    """An attacker can make checksums fit: then pixels come out, or a documented error."""
    rng = random.Random(1)
    header, parts = split(small())
    for _ in range(100):
        changed = [(tag, mutated(rng, data)) for tag, data in parts]
        outcome(join(header, changed), verify=False)


def test_mutations_with_truncated_images_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Pillow's flag, damage leads to an image or to a documented error."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    rng = random.Random(2)
    found = {outcome(mutated(rng, small()), verify=False) for _ in range(100)}
    assert "sound" in found


def quarters(image: Image.Image) -> list[Image.Image]:
    """Return the four tiles of a 128x128 image without their borders, where tiles may mix."""
    corners = ((0, 0), (QUARTER, 0), (0, QUARTER), (QUARTER, QUARTER))
    return [image.crop((x + 24, y + 24, x + 40, y + 40)) for x, y in corners]


@pytest.mark.parametrize("lost", range(4))
def test_whole_tiles_are_decoded(lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Pillow's flag, a damaged tile is grey and the others are as they were."""
    source = picture("RGBA", (128, 128))
    data = lic(source, tile=64, quality=95)
    header, parts = split(data)
    hurt = bytearray(data)
    end = len(join(header, parts[: lost + 2]))
    hurt[end - 1] ^= 1
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = opened(bytes(hurt))
    assert image.getchannel("A").tobytes() == source.getchannel("A").tobytes()
    for index, (one, other) in enumerate(zip(quarters(image), quarters(opened(data)), strict=True)):
        rgb = np.asarray(one.convert("RGB"), np.int16)
        if index == lost:
            assert np.ptp(rgb) <= 16, "not grey"
        else:
            assert np.abs(rgb - np.asarray(other.convert("RGB"))).max() <= 1


def test_cut_after_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Pillow's flag, whatever is missing is grey, opaque, or absent."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    header, parts = split(lic(picture("LA"), exif=EXIF, xmp=XMP))
    image = opened(header)
    assert image.getchannel("A").getextrema() == (255, 255)
    assert np.ptp(np.asarray(image.getchannel("L"))) <= 16
    cut = opened(join(header, parts)[: len(join(header, parts[:1])) + 5])
    assert "exif" in cut.info
    assert "xmp" not in cut.info
    cut.load()


def test_damaged_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error at open, or with Pillow's flag an image without it."""
    data = bytearray(lic(exif=EXIF))
    data[40] ^= 1
    with pytest.raises(LicError, match="part e: the checksum does not fit"):
        opened(bytes(data))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = Image.open(io.BytesIO(data))
    assert "exif" not in image.info
    assert image.tobytes() == opened(lic()).tobytes()
