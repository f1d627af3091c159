"""Bad input of every kind: the error that it raises, and what the message says."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError
from samples import HEADER, join, lic, opened, picture, resealed, split

import pillow_lic
from pillow_lic.errors import (
    FormatError,
    LicError,
    PayloadError,
    TruncatedError,
    UnknownModelError,
    WeightsNotFoundError,
)

HUGE = HEADER._replace(width=1 << 30, height=1 << 30, tile=4096)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_no_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    """An image of no pixels is refused before a file is made."""
    name = "height" if size[0] else "width"
    with pytest.raises(ValueError, match=f"{name}: found 0, allowed is at least 1"):
        Image.new("RGB", size).save(tmp_path / "a.lic", model="tiny")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "quality", [0, 101, 10**400, "high", float("nan"), float("inf"), None, True]
)
def test_quality(quality: Any) -> None:
    """The range is 1 to 100."""
    with pytest.raises(ValueError, match="1 to 100"):
        lic(quality=quality)


@pytest.mark.parametrize("model", ["best", "", 99, None, ["tiny"], True])
def test_unknown_model_in_save(model: Any) -> None:
    """The error lists the known models."""
    with pytest.raises(ValueError, match=r"tiny.*elic"):
        lic(model=model)


@pytest.mark.parametrize("tile", [-64, 1, 100, 16384, "64", 64.0, True])
def test_tile(tile: Any) -> None:
    """Tiles are counted in 64 pixels."""
    with pytest.raises(ValueError, match=r"tile: found .* allowed are 0 and the multiples of 64"):
        lic(tile=tile)


@pytest.mark.parametrize("name", ["exif", "icc_profile", "xmp"])
def test_metadata_type(name: str) -> None:
    """Neither numbers nor lists."""
    with pytest.raises(ValueError, match=f"{name}: found int, allowed is bytes"):
        lic(None, **{name: 5})


def test_metadata_too_long() -> None:
    """More than 64 MiB could not be read again."""
    with pytest.raises(ValueError, match="xmp: found 67108865 bytes, allowed are 67108864"):
        lic(xmp=bytes((64 << 20) + 1))


@pytest.mark.parametrize("value", [65536.0, -1.0, float("nan"), float("inf")])
def test_wide_values_are_refused(value: float) -> None:
    """Floats, and integers of 32 bits, are stored if they are 0 to 65535."""
    with pytest.raises(OSError, match="cannot write mode F as LIC: found values from"):
        lic(Image.new("F", (4, 4), value))
    with pytest.raises(OSError, match="cannot write mode I as LIC: found values from 0 to 70000"):
        lic(Image.linear_gradient("L").convert("I").point(lambda i: i * 70000 / 255 + 0))


def test_floats_that_are_shares_are_refused() -> None:
    """Rounded, a picture would be black; masks of 0 and 1 are what they are."""
    shares = Image.fromarray(np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6))
    with pytest.raises(OSError, match="found shares of 1, allowed are values to 255 or 65535"):
        lic(shares)
    lic(Image.new("F", (4, 4), 1.0))


def test_a_failed_save_writes_nothing(tmp_path: Path) -> None:
    """Neither to a file object nor to disk."""
    sink = io.BytesIO()
    with pytest.raises(ValueError, match="quality"):
        picture().save(sink, "LIC", model="tiny", quality=0)
    assert sink.getvalue() == b""
    with pytest.raises(ValueError, match="quality"):
        picture().save(tmp_path / "a.lic", quality=0)
    assert not list(tmp_path.iterdir())


def test_errors_of_the_sink_are_the_callers() -> None:
    """A full disk is reported as it is."""

    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        picture().save(Full(), "LIC", model="tiny")
    assert not isinstance(caught.value, LicError)


def test_unknown_model_in_file() -> None:
    """Opening works, loading lists what is known."""
    header, parts = split(lic())
    image = opened(join(resealed(header, 11, b"\xc8"), parts))
    assert image.info["model"] == "200"
    with pytest.raises(UnknownModelError, match=r"200.*tiny"):
        image.load()


def test_missing_weights() -> None:
    """Opening and verifying work; loading names model and fingerprint, and may be tried again."""
    header, parts = split(lic())
    data = join(resealed(header, 12, b"\xaa" * 8), parts)
    opened(data).verify()
    image = opened(data)
    for _ in range(2):
        with pytest.raises(WeightsNotFoundError, match=r"(?s)tiny.*aaaaaaaaaaaaaaaa"):
            image.load()


def test_malformed_payload() -> None:
    """Bytes that fit their checksum but that no encoder wrote."""
    header, parts = split(lic())
    tag, tile = parts[-1]
    for payload in (tile[: len(tile) // 8 * 4], tile[:-1], tile + b"\0"):
        with pytest.raises(PayloadError):
            opened(join(header, [(tag, payload)])).load()


def test_malformed_alpha() -> None:
    """Found by `verify`, and by `load` before any network runs."""
    header, parts = split(lic(picture("LA")))
    data = join(header, [("A", b"\x09"), *parts[1:]])
    for call in (opened(data).verify, opened(data).load):
        with pytest.raises(PayloadError, match="alpha filter: found 9"):
            call()


def test_not_ours(tmp_path: Path) -> None:
    """A file of another format renamed is opened as what it is, or by nobody."""
    path = tmp_path / "a.lic"
    picture().save(path, "PNG")
    with Image.open(path) as image:
        assert image.format == "PNG"
    with pytest.raises(UnidentifiedImageError):
        pillow_lic.open(path)
    path.write_bytes(b"no image at all")
    with pytest.raises(UnidentifiedImageError):
        Image.open(path)


def test_header_text_reaches_the_user() -> None:
    """Pillow drops the text of SyntaxError; ours is an OSError."""
    header, parts = split(lic())
    with pytest.raises(FormatError, match="version: found 9, allowed is 1"):
        opened(join(resealed(header, 8, b"\x09"), parts))


def test_terabytes() -> None:
    """Pillow's own check stops such a header at open."""
    with pytest.raises(Image.DecompressionBombError):
        opened(HUGE.pack())


def test_terabytes_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """With that check off, the missing tiles are noticed before any pixel is allocated."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(TruncatedError, match="part T 1 of 68719476736 is missing"):
        opened(HUGE.pack()).load()
    with pytest.raises(TruncatedError, match="part T 1 of 68719476736 is missing"):
        opened(HUGE.pack()).verify()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(MemoryError):
        opened(HUGE.pack()).load()


def test_two_files_in_one() -> None:
    """What follows the last tile is an error, not another image."""
    for call in (opened(lic() * 2).verify, opened(lic() * 2).load):
        with pytest.raises(FormatError, match="after the last tile"):
            call()


def test_unknown_parts() -> None:
    """Critical: refused at open. Ancillary: skipped, and not in info."""
    header, parts = split(lic())
    with pytest.raises(FormatError, match="part Q: found an unknown critical part"):
        opened(join(header, [("Q", b""), *parts]))
    image = opened(join(header, [("q", b"?"), *parts]))
    assert image.tobytes() == opened(lic()).tobytes()
    assert set(image.info) == {"model", "quality"}


def test_everything_is_an_oserror() -> None:
    """One clause catches what a file can do wrong."""
    from pillow_lic import errors

    for name in errors.__all__:
        assert issubclass(getattr(errors, name), LicError)
    assert issubclass(LicError, OSError)
