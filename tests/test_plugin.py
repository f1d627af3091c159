"""The Pillow plugin: open, load, save, and everything that Pillow lets people do in between."""

from __future__ import annotations

import io
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFile, UnidentifiedImageError
from samples import EXIF, ICC, XMP, distance, join, lic, opened, part, picture, split

import pillow_lic
from pillow_lic.LicImagePlugin import LicImageFile


class Counting(io.BytesIO):
    """A file that adds up how many bytes were read from it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(40, 24), (1, 1), (1, 70), (67, 3)])
def test_round_trip(mode: str, size: tuple[int, int]) -> None:
    """Mode and size come back, colours nearly, alpha exactly."""
    source = picture(mode, size)
    image = opened(lic(source, quality=95))
    assert (image.format, image.mode, image.size) == ("LIC", mode, size)
    image.load()
    assert size != (40, 24) or distance(image, source) < 25
    if mode.endswith("A"):
        assert image.getchannel("A").tobytes() == source.getchannel("A").tobytes()


def test_files_and_paths(tmp_path: Path) -> None:
    """Paths by extension, file objects by format, the MIME type."""
    path = tmp_path / "a.lic"
    picture().save(path, model="tiny")
    with Image.open(path) as image:
        assert image.get_format_mimetype() == "image/x-lic"
        assert image.info == {"model": "tiny", "quality": 75.0}
        image.load()
    with path.open("rb") as file, Image.open(file) as image:
        image.load()
        assert not file.closed
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, archive.open("a.lic", "w") as member:
        picture().save(member, "LIC", model="tiny")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a.lic") as member:
        Image.open(member).load()


def test_tiles_decode_to_one_image() -> None:
    """Several tiles, the last ones smaller."""
    source = picture("RGBA", (150, 70))
    data = lic(source, tile=64, quality=95)
    assert [tag for tag, _ in split(data)[1]] == ["A"] + ["T"] * 6
    assert distance(opened(data), source) < 25


def test_metadata_round_trip() -> None:
    """EXIF, ICC and XMP are there after open, before load."""
    image = opened(lic(exif=EXIF, icc_profile=ICC, xmp=XMP))
    assert image.info["exif"] == b"Exif\0\0" + EXIF
    assert image.info["icc_profile"] == ICC
    assert image.info["xmp"] == XMP
    assert image.getexif()[0x112] == 6
    image.load()
    assert image.size == (40, 24), "the orientation tag is kept, not applied"


def test_open_reads_the_header_only() -> None:
    """Pillow looks at 16 bytes; the plugin takes the header and one tag."""
    plain = lic(quality=100)
    file = Counting(plain)
    Image.open(file)
    assert file.taken == 16 + len(split(plain)[0]) + 1


def test_open_reads_known_metadata_only() -> None:
    """Unknown parts are skipped, tiles not looked at."""
    header, parts = split(lic(exif=EXIF))
    file = Counting(join(header, [("q", bytes(5000)), *parts]))
    image = Image.open(file)
    assert image.info["exif"] == b"Exif\0\0" + EXIF
    assert file.taken == 16 + len(header) + 4 - 1 + len(part("e", EXIF)) + 1
    assert "q" not in image.info
    image.load()


def test_threads_share_one_image() -> None:
    """Eight threads load one lazy image; each sees all pixels."""
    data = lic(tile=64)
    expected = opened(data).tobytes()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            image = opened(data)
            assert set(pool.map(lambda _, im=image: im.tobytes(), range(8))) == {expected}


@pytest.mark.parametrize("loaded", [False, True])
def test_pickle(loaded: bool) -> None:
    """A copy that never saw the file behaves like an image of one frame."""
    image = opened(lic(exif=EXIF))
    if loaded:
        image.load()
    copy: Any = pickle.loads(pickle.dumps(image))
    assert copy.tobytes() == image.tobytes()
    assert copy.info == image.info
    assert (copy.n_frames, copy.is_animated, copy.tell()) == (1, False, 0)
    copy.seek(0)
    with pytest.raises(EOFError):
        copy.seek(1)
    copy.load()


@pytest.mark.parametrize("step", [1, 7, 100000])
def test_parser(step: int) -> None:
    """Bytes may come in pieces of any size."""
    data = lic(exif=EXIF)
    parser = ImageFile.Parser()
    for start in range(0, len(data), step):
        parser.feed(data[start : start + step])
    assert parser.close().tobytes() == opened(data).tobytes()


def test_parser_knows_the_size_early() -> None:
    """The header is enough for a parser that asks for the size, as Django does."""
    data = lic()
    parser = ImageFile.Parser()
    parser.feed(data[:20])
    assert parser.image is None
    parser.feed(data[20:40])
    assert parser.image is not None
    assert parser.image.size == (40, 24)
    with pytest.raises(OSError, match="truncated"):
        parser.close()


def test_verify() -> None:
    """A sound file passes, with metadata, alpha and tiles; the image cannot be used afterwards."""
    for data in (lic(), lic(picture("LA", (150, 70)), tile=64, exif=EXIF, icc_profile=ICC)):
        image = opened(data)
        image.verify()
        for call in (image.verify, image.load):
            with pytest.raises(ValueError, match="closed"):
                call()


def test_open_with_device() -> None:
    """`pillow_lic.open` takes `.lic` alone, and a device."""
    data = lic()
    image = pillow_lic.open(io.BytesIO(data), device="cpu")
    assert isinstance(image, LicImageFile)
    assert image.tobytes() == opened(data).tobytes()
    png = io.BytesIO()
    picture().save(png, "PNG")
    with pytest.raises(UnidentifiedImageError):
        pillow_lic.open(png)


def test_closing() -> None:
    """A closed image says so."""
    with opened(lic()) as image:
        pass
    with pytest.raises(ValueError, match="closed"):
        image.load()
