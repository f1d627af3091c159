"""A small picture in the file: `draft` and `thumbnail` answer from it and run no network."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import distance, join, lic, opened, picture, split

from pillow_lic import _codec

BIG = (600, 400)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> bytes:
        raise AssertionError("a network was asked")

    monkeypatch.setattr(_codec, "decode", refuse)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_thumbnail_comes_from_the_preview(mode: str, no_network: None):
    image = opened(lic(picture(mode, BIG), preview=True))
    assert image.size == BIG
    image.thumbnail((128, 128))
    assert (image.mode, image.size) == (mode, (128, 85))
    assert distance(image, picture(mode, BIG).resize((128, 85))) < 5


def test_thumbnails_of_16_bits(no_network: None):
    """Pillow's own conversion leaves 8 bits where they are: black."""
    ramp = np.linspace(20000, 65535, 400 * 600).reshape(400, 600).astype(np.uint16)
    image = opened(lic(Image.fromarray(ramp), preview=True))
    image.thumbnail((100, 100))  # much smaller ones of 16 bits Pillow cannot make
    assert image.mode == "I;16"
    found = np.asarray(image).astype(float)
    assert abs(found.mean() - ramp.mean()) < 600
    assert found.max() > 63000


def test_a_thumbnail_that_is_too_large_is_decoded():
    image = opened(lic(picture("RGB", BIG), preview=64))
    image.thumbnail((300, 300))
    assert image.size == (300, 200)


def test_draft_says_what_it_did(no_network: None):
    image = opened(lic(picture("RGB", BIG), preview=300))
    assert image.draft(None, (301, 301)) is None
    assert image.size == BIG
    assert image.draft("RGB", (300, 150)) == ("RGB", (0, 0, 300, 200))
    assert image.size == (300, 200)
    assert image.draft(None, (10, 10)) is None  # once
    assert np.asarray(image).shape == (200, 300, 3)
    assert image.crop((0, 0, 10, 10)).size == (10, 10)


def test_a_thumbnail_keeps_no_file_open(tmp_path: Path):
    path = tmp_path / "a.lic"
    path.write_bytes(lic(picture("RGB", BIG), preview=64))
    image = Image.open(path)
    file = image.fp
    image.thumbnail((32, 32))
    assert image.fp is None
    assert file.closed
    given = io.BytesIO(path.read_bytes())
    Image.open(given).thumbnail((32, 32))
    assert not given.closed  # the caller's


def test_nothing_to_draft_from():
    image = opened(lic(picture("RGB", BIG)))
    assert image.draft(None, (10, 10)) is None
    image.load()
    assert image.draft(None, (10, 10)) is None
    small = lic(picture("RGB", (50, 40)), preview=True)
    assert [tag for tag, _ in split(small)[1]] == ["T"]


def test_the_preview_changes_nothing_else():
    plain, with_one = lic(picture("RGB", BIG)), lic(picture("RGB", BIG), preview=True)
    header, parts = split(with_one)
    assert join(header, [part for part in parts if part[0] != "p"]) == plain
    assert distance(opened(plain), opened(with_one)) == 0
    assert opened(with_one).info == opened(plain).info
    opened(with_one).verify()


@pytest.mark.parametrize("kind", ["noise", "empty", "huge", "png", "checksum"])
def test_a_preview_that_is_no_good_is_ignored(kind: str):
    header, parts = split(lic(picture("RGB", BIG), preview=True))
    good = dict(parts)["p"]
    file = io.BytesIO()
    Image.new("RGB", (1500, 1000)).save(file, "WEBP" if kind == "huge" else "PNG")
    bodies = {"noise": b"RIFF" + bytes(40), "empty": b"", "checksum": good}
    body = bodies.get(kind, file.getvalue())
    data = bytearray(join(header, [(tag, body if tag == "p" else d) for tag, d in parts]))
    if kind == "checksum":
        data[data.index(good) + len(good)] ^= 1
    image = opened(bytes(data))
    assert image.draft(None, (10, 10)) is None
    assert image.size == BIG
    if kind != "checksum":
        image.load()


@pytest.mark.filterwarnings("error")
def test_previews_are_no_bombs(no_network: None, monkeypatch: pytest.MonkeyPatch):
    """They have a limit of their own: no warning of others."""
    image = opened(lic(picture("RGB", BIG), preview=64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    image.thumbnail((32, 32))
    assert max(image.size) == 32


@pytest.mark.parametrize("value", [15, 1025, "big", 2.5])
def test_bad_values(value: object):
    with pytest.raises(ValueError, match="preview"):
        lic(picture("RGB", BIG), preview=value)


def test_info_of_the_source_asks_for_nothing():
    image = picture("RGB", BIG)
    image.info["preview"] = 64
    assert [tag for tag, _ in split(lic(image))[1]] == ["T"]
