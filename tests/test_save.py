"""Saving: options, metadata, and what becomes of modes that a file does not have."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from samples import EXIF, ICC, XMP, distance, lic, opened, picture

from pillow_lic import _modes, _options, container


class WriteOnly:
    """A sink such as a socket: no seek, no tell, no fileno."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def test_colours_under_transparency_are_kept() -> None:
    """What alpha hides is coded like the rest: an editor may bring it back."""
    source = picture("RGBA", (64, 64))
    hidden = source.copy()
    hidden.putalpha(0)
    shown = opened(lic(source)).convert("RGB")
    assert opened(lic(hidden)).convert("RGB").tobytes() == shown.tobytes()


def test_defaults(tmp_path: Path) -> None:
    """Without options a file gets the default model at quality 75."""
    picture().save(tmp_path / "a.lic")
    with Image.open(tmp_path / "a.lic") as image:
        assert image.info == {"model": "elic", "quality": 75.0}
        image.load()


def test_saving_only_writes() -> None:
    """Sockets and streams have no seek."""
    sink = WriteOnly()
    picture().save(sink, "LIC", model="tiny")  # type: ignore[arg-type]
    assert sink.data == lic()


def test_saving_over_the_source(tmp_path: Path) -> None:
    """An image may be changed and saved under the name that it came from."""
    path = tmp_path / "a.lic"
    path.write_bytes(lic())
    with Image.open(path) as image:
        image.thumbnail((20, 20))
        image.save(path, model="tiny")
    with Image.open(path) as image:
        assert image.size == (20, 12)
        image.load()


@pytest.mark.parametrize("quality", [1, 37.25, 100])
def test_quality(quality: float) -> None:
    """Any number from 1 to 100, fractions included, comes back in info."""
    assert opened(lic(quality=quality)).info["quality"] == quality


def test_quality_costs_bytes() -> None:
    """More quality, more bytes, less error."""
    source = Image.effect_noise((64, 64), 60).convert("RGB")
    low, high = lic(source, quality=5), lic(source, quality=95)
    assert len(low) < len(high)
    assert distance(opened(low), source) > distance(opened(high), source)


def test_tile_option() -> None:
    """Tiles are 0 (one for all) up to 2 MP, else 1024; the option overrides."""

    def tile(data: bytes) -> int:
        return container.read_header(io.BytesIO(data)).tile

    assert tile(lic()) == 0
    assert tile(lic(tile=64)) == 64
    assert tile(lic(tile=np.int64(16320))) == 16320
    assert _options.tile_edge({}, (1920, 1080)) == 0
    assert _options.tile_edge({}, (2048, 1025)) == 1024


def test_metadata_forms() -> None:
    """EXIF as bytes with the prefix or as an object, XMP as text, None and empty as nothing."""
    exif = Image.Exif()
    exif[0x112] = 6
    for value in (EXIF, b"Exif\0\0" + EXIF, bytearray(EXIF), exif):
        assert opened(lic(exif=value)).getexif()[0x112] == 6
    place = Image.Exif()
    place.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"  # and nothing beside it
    assert opened(lic(exif=place)).getexif().get_ifd(ExifTags.IFD.GPSInfo) == {1: "N"}
    assert opened(lic(xmp="é")).info["xmp"] == "é".encode()
    assert lic(exif=None, xmp="", icc_profile=b"") == lic(exif=Image.Exif()) == lic()


def test_metadata_goes_on_to_other_formats() -> None:
    """`info["exif"]` has the form that the JPEG writer puts into a file as it is."""
    jpeg = io.BytesIO()
    image = opened(lic(exif=EXIF))
    image.save(jpeg, "JPEG", exif=image.info["exif"])
    assert Image.open(jpeg).getexif()[0x112] == 6


def test_only_the_profile_is_inherited() -> None:
    """EXIF and XMP are written when passed; the profile by default, as colours depend on it."""
    source = picture()
    source.info.update(icc_profile=ICC, exif=EXIF, xmp=XMP, quality=3, model="?", tile="?")
    assert set(opened(lic(source)).info) == {"model", "quality", "icc_profile"}
    assert opened(lic(source)).info["quality"] == 75
    assert "icc_profile" not in opened(lic(source, icc_profile=None)).info
    source.info["icc_profile"] = "text chunk of a PNG"
    assert "icc_profile" not in opened(lic(source)).info
    cmyk = source.convert("CMYK")
    cmyk.info["icc_profile"] = ICC
    assert "icc_profile" not in opened(lic(cmyk)).info


def test_save_leaves_the_callers_objects_alone() -> None:
    """Pixels, info, palette and options are as before."""
    source = picture().quantize(8)
    source.info["transparency"] = b"\0" * 8
    exif = Image.Exif()
    exif[0x112] = 6
    before = source.tobytes(), dict(source.info), source.getpalette("RGBA"), dict(exif)
    assert opened(lic(source, exif=exif, unknown_option=object())).mode == "RGBA"
    after = source.tobytes(), dict(source.info), source.getpalette("RGBA"), dict(exif)
    assert before == after


def test_saves_of_one_image_at_once() -> None:
    """As threads do: options of one save are not those of another, and do not stay."""
    image, other = picture(), io.BytesIO()

    def meanwhile() -> None:
        image.save(other, "LIC", model="tiny", quality=90)

    assert opened(lic(image, quality=10, on_tile=meanwhile)).info["quality"] == 10
    assert Image.open(other).info["quality"] == 90
    assert opened(lic(image)).info["quality"] == 75


def test_deterministic() -> None:
    """The same picture makes the same bytes."""
    assert lic() == lic()


@pytest.mark.parametrize(
    ("mode", "stored"),
    [
        ("1", "L"),
        ("I", "L"),
        ("F", "L"),
        ("P", "RGB"),
        ("PA", "RGBA"),
        ("La", "LA"),
        ("RGBa", "RGBA"),
        ("RGBX", "RGB"),
        ("CMYK", "RGB"),
        ("YCbCr", "RGB"),
        ("LAB", "RGB"),
        ("HSV", "RGB"),
    ],
)
def test_other_modes_are_converted(mode: str, stored: str) -> None:
    """A mode that a file does not have is stored as what Pillow itself would show."""
    base = {"PA": "P", "La": "LA", "RGBa": "RGBA", "F": "L"}.get(mode, "RGB")
    source = picture(base).convert(mode)
    data = lic(source)
    assert opened(data).mode == stored
    assert data == lic(source.convert(stored), icc_profile=None)  # LAB brings one


def test_floats_are_rounded() -> None:
    """Pillow would truncate."""
    nearly = Image.new("F", (2, 2), 99.9)
    assert _modes.storable(nearly).getpixel((0, 0)) == 100


@pytest.mark.parametrize(
    ("mode", "key", "stored"),
    [
        ("L", 255, "LA"),
        ("RGB", (0, 0, 0), "RGBA"),
        ("P", 3, "RGBA"),
        ("P", b"\0\x80", "RGBA"),
        ("1", 255, "RGBA"),
    ],
)
def test_a_transparent_colour_becomes_alpha(mode: str, key: Any, stored: str) -> None:
    """PNG and GIF name one colour transparent; a file has no such thing, so alpha keeps it."""
    source = picture("RGB").convert(mode)
    source.info["transparency"] = key
    expected = source.copy().convert("RGBA").getchannel("A").tobytes()
    image = opened(lic(source))
    assert image.mode == stored.replace("RGBA", "LA" if mode == "1" else "RGBA")
    assert image.getchannel("A").tobytes() == expected


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("key", ["text", -1, 256, 1.5, (1, 2), b"\0" * 300, None, ("a", 0, 0)])
def test_a_senseless_transparent_colour_is_ignored(mode: str, key: Any) -> None:
    """Anybody's PNG text chunk may be named "transparency"."""
    source = picture("RGBA" if mode.endswith("A") else "RGB").convert(mode)
    source.info["transparency"] = key
    assert opened(lic(source)).mode == {"1": "L", "P": "RGB"}.get(mode, mode)


def test_palette_with_alpha() -> None:
    """Transparency inside the palette counts too."""
    source = picture("RGB").quantize(4)
    source.putpalette([0, 0, 0, 0, 9, 9, 9, 255, 99, 99, 99, 255, 255, 255, 255, 128], "RGBA")
    assert opened(lic(source)).mode == "RGBA"


def test_one_frame() -> None:
    """`save_all` with one frame is a still; appended images need no `save_all`."""
    assert lic(save_all=True) == lic(save_all=True, append_images=[]) == lic()
    assert opened(lic(append_images=[picture(), picture()])).n_frames == 3
