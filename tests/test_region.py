"""Parts of an image: the same pixels as the whole, from the tiles nearby alone."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path
from typing import IO

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image, ImageFile
from samples import HEADER, join, lic, opened, picture, split

import lic_models
import pillow_lic
from lic_models import registry
from lic_models.transforms import Transforms
from pillow_lic import _options, container, errors, header, tensors


@pytest.fixture(scope="module", params=[("RGB", 64), ("LA", 128), ("RGBA", 0)])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    mode, tile = request.param
    file = tmp_path_factory.mktemp("region") / f"{mode}.lic"
    picture(mode, (700, 500)).save(file, model="tiny", tile=tile)
    return file


REGIONS = [(0, 0, 1, 1), (0, 0, 700, 500), (650, 450, 700, 500), (130, 257, 331, 300)]


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_is_what_the_whole_holds(path: Path, region: tuple[int, int, int, int]):
    with Image.open(path) as whole, pillow_lic.open(path, region=region) as part:
        assert part.mode == whole.mode
        assert part.size == (region[2] - region[0], region[3] - region[1])
        assert part.info == whole.info
        whole.load()
        want = np.asarray(whole.crop(region)).astype(int)
        assert np.abs(np.asarray(part) - want).max() <= 1


def test_crop_before_load_reads_few_tiles(path: Path, monkeypatch: pytest.MonkeyPatch):
    read: list[int] = []
    some = container.read_some

    def noted(fp: IO[bytes], head: container.Header, wanted: Collection[int]) -> container.Parts:
        read.extend(wanted)
        return some(fp, head, wanted)

    monkeypatch.setattr(container, "read_some", noted)
    box = (10, 20, 90, 60)
    with Image.open(path) as image:
        tiles = image.header.tiles
        found = image.crop(box)
        assert bool(read) == (tiles > 1)
        assert 2 * len(read) < max(tiles, 2)
        assert bool(image.tile) == (tiles > 1)  # the rest is still to be decoded
        image.load()
        whole = image.crop(box)
    assert found.mode == whole.mode
    assert np.abs(np.asarray(found).astype(int) - np.asarray(whole)).max() <= 1
    assert found.info == whole.info


def test_crop_beyond_the_edge_is_pillows(path: Path):
    with Image.open(path) as image:
        assert image.crop((-5, -5, 20, 20)).size == (25, 25)
    with Image.open(path) as image:
        assert image.crop().size == image.size


@pytest.mark.parametrize(
    "region", [(0, 0, 701, 5), (5, 5, 5, 9), (-1, 0, 5, 5), (0, 9, 5, 2), (0, 0, 1.5, 2), "no", 7]
)
def test_bad_regions(path: Path, region: object):
    with pytest.raises(ValueError, match=r"region.*700, 500"):
        pillow_lic.open(path, region=region)  # type: ignore[arg-type]
    stream = io.BytesIO(path.read_bytes())
    with pytest.raises(ValueError, match="region"):
        pillow_lic.open(stream, region=region)  # type: ignore[arg-type]
    assert not stream.closed  # the caller's


def test_a_region_of_what_is_loaded_is_refused(path: Path):
    with Image.open(path) as image:
        image.load()
        with pytest.raises(ValueError, match="loaded"):
            image.select((0, 0, 5, 5))


def test_damage_elsewhere_does_not_matter(tmp_path: Path):
    file = tmp_path / "a.lic"
    picture("RGB", (700, 500)).save(file, model="tiny", tile=64)
    data = bytearray(file.read_bytes())
    data[-10] ^= 1  # the last tile
    with pillow_lic.open(io.BytesIO(data), region=(0, 0, 64, 64)) as part:
        part.load()
    with (
        pillow_lic.open(io.BytesIO(data), region=(690, 490, 700, 500)) as part,
        pytest.raises(errors.ChecksumError),
    ):
        part.load()
    with pillow_lic.open(io.BytesIO(data[:-500]), region=(690, 0, 700, 9)) as part:
        part.load()


def test_missing_tiles_of_a_region_are_grey_on_request(monkeypatch: pytest.MonkeyPatch):
    file = io.BytesIO()
    picture("RGB", (700, 500)).save(file, "LIC", model="tiny", tile=64)
    data = file.getvalue()[:-2]
    with (
        pillow_lic.open(io.BytesIO(data), region=(640, 450, 700, 500)) as part,
        pytest.raises(errors.TruncatedError),
    ):
        part.load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pillow_lic.open(io.BytesIO(data), region=(640, 450, 700, 500)) as part:
        assert part.getpixel((59, 49)) == (128, 128, 128)


def test_the_bomb_check_is_for_the_region(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    with pillow_lic.open(path, region=(0, 0, 30, 30)) as part:
        if part.mode.endswith("A"):
            with pytest.raises(Image.DecompressionBombError):
                part.load()
        else:
            part.load()
    with pytest.raises(Image.DecompressionBombError):
        pillow_lic.open(path, region=(0, 0, 300, 300))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_the_header_claims_costs_nothing(mode: str):
    """A part of a strip a thousand million pixels long, of which the file has some bytes."""
    codec = lic_models.load("tiny", "cpu")
    head = header.Header(64, 1 << 30, mode, 0, codec.fingerprint, 5000, 64)
    [tile] = codec.encode_tiles(np.zeros((64, 64, 3), np.uint8), 5000, 0)
    alpha = [("A", b"\x04\x80")] if mode == "RGBA" else []
    data = join(head.pack(), [*alpha, *[("T", tile)] * 3])
    with pillow_lic.open(io.BytesIO(data), region=(0, 0, 40, 30)) as image:
        assert image.getextrema()[3:] in ((), ((128, 128),))
        assert max(high for _, high in image.getextrema()[:3]) < 20
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))


def test_parts_of_damaged_files(monkeypatch: pytest.MonkeyPatch):
    """On request a part of an image is as tolerant as all of it."""
    head, parts = split(lic(picture("RGB", (512, 512)), tile=64))
    data = bytearray(join(head, parts))
    data[len(head) + 8] ^= 1
    with pytest.raises(errors.ChecksumError):
        opened(bytes(data)).crop((0, 0, 40, 40))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert opened(bytes(data)).crop((0, 0, 40, 40)).getpixel((9, 9)) == (128, 128, 128)


def test_streams_that_cannot_seek():
    class Pipe(io.RawIOBase):
        file = io.BytesIO(lic())

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:
            return self.file.readinto(buffer)

    assert pillow_lic.open(Pipe(), region=(0, 0, 9, 8)).getbbox() == (0, 0, 9, 8)


def test_a_line_of_pixels_is_as_much_as_64():
    data = lic(picture("RGB", (1, 300)))
    opened(data).load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 300 * 64 // 2 - 1)
        with pytest.raises(Image.DecompressionBombError):
            opened(data).load()
        with pytest.raises(Image.DecompressionBombError):
            pillow_lic.open(io.BytesIO(data), region=(0, 0, 1, 300))
        with pytest.raises(Image.DecompressionBombError):
            tensors.read(io.BytesIO(data), region=(0, 0, 1, 300))
        with pytest.raises(Image.DecompressionBombError):
            iio.imread(data, extension=".lic", region=(0, 0, 1, 300))
        tiled = lic(picture("RGB", (1, 900)), tile=64)
        with pytest.raises(Image.DecompressionBombError):
            opened(tiled).crop((0, 0, 1, 300))
        opened(tiled).crop((0, 0, 1, 100))
    with pytest.raises(ValueError, match="tile: found 64x2097152 pixels"):
        HEADER._replace(width=1, height=1 << 21).pack()
    assert _options.tile_edge({}, (1, 32768)) == 0
    assert _options.tile_edge({}, (1, 32769)) == 1024


def test_the_container_knows_how_far_models_look():
    for name in lic_models.names():
        model = registry.lookup(name)
        assert model.pixels == header.SAMPLE
        assert model.halo * model.pixels <= header.HALO


def test_no_seams_between_regions(path: Path):
    """Halves decoded apart fit together."""
    with Image.open(path) as whole:
        want = np.asarray(whole).astype(int)
    left, right = (
        np.asarray(pillow_lic.open(path, region=region)).astype(int)
        for region in ((0, 0, 333, 500), (333, 0, 700, 500))
    )
    assert np.abs(np.concatenate([left, right], 1) - want).max() <= 1


@pytest.mark.parametrize("tile", [0, 64, 192, 512])
def test_bands_and_blocks_change_nothing(tile: int, monkeypatch: pytest.MonkeyPatch):
    """Analysis and synthesis in small pieces, a few rows of tiles at a time."""
    image = picture("RGB", (700, 500))
    file, other = io.BytesIO(), io.BytesIO()
    image.save(file, "LIC", model="tiny", tile=tile)
    want = np.asarray(Image.open(file)).astype(int)
    monkeypatch.setattr(Transforms, "block", 128)
    found = np.asarray(Image.open(file)).astype(int)
    assert np.abs(found - want).max() <= 1
    image.save(other, "LIC", model="tiny", tile=tile)
    again = np.asarray(Image.open(other)).astype(int)
    assert np.abs(again - want).max() <= 40
    assert np.abs(again - want).mean() < 0.2
    part = np.asarray(pillow_lic.open(file, region=(300, 200, 690, 490))).astype(int)
    assert np.abs(part - want[200:490, 300:690]).max() <= 1


def test_a_caller_can_follow_tile_by_tile():
    """What the command line draws its bar with."""
    done: list[int] = []
    file = io.BytesIO()
    options = {"model": "tiny", "tile": 256, "on_tile": lambda: done.append(1)}
    picture("RGB", (700, 500)).save(file, "LIC", **options)
    assert len(done) == 6
    image = pillow_lic.open(file)
    image.on_tile = lambda: done.append(2)
    image.load()
    assert done == [1] * 6 + [2] * 6
