"""imageio reads and writes `.lic`: paths, bytes, 16 bits, regions, metadata, its old interface."""

from __future__ import annotations

import http.server
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import imageio.v2 as iio2
import imageio.v3 as iio
import numpy as np
import pytest
from imageio.config import extension_list, known_extensions
from PIL import Image
from samples import EXIF, ICC, XMP, lic, picture, split

import pillow_lic
from pillow_lic import errors

TINY: dict[str, Any] = {"model": "tiny", "quality": 75}


def test_path_and_bytes(tmp_path: Path) -> None:
    """The extension decides the format, also where there is no file name."""
    pixels = np.asarray(picture())
    iio.imwrite(tmp_path / "a.lic", pixels, **TINY)
    data = iio.imwrite("<bytes>", pixels, extension=".lic", **TINY)
    assert data == (tmp_path / "a.lic").read_bytes() == lic()
    assert iio.imread(data).shape == iio.imread(tmp_path / "a.lic").shape == (24, 40, 3)
    assert iio.improps(tmp_path / "a.lic").shape == (24, 40, 3)
    assert iio.immeta(tmp_path / "a.lic")["model"] == "tiny"
    with Image.open(tmp_path / "a.lic") as image:
        assert np.array_equal(iio.imread(tmp_path / "a.lic"), np.asarray(image))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(50, 70), (50, 70, 2), (50, 70, 3), (50, 70, 4)])
def test_arrays(kind: type, shape: tuple[int, ...], tmp_path: Path) -> None:
    ramp = np.linspace(0, np.iinfo(kind).max, 50 * 70).reshape(50, 70, 1)
    pixels = np.broadcast_to(ramp, (50, 70, (*shape, 1)[2])).astype(kind).reshape(shape)
    path = tmp_path / "a.lic"
    iio.imwrite(path, pixels, **TINY)
    found = iio.imread(path, device="cpu")
    props = iio.improps(path)
    assert (found.shape, found.dtype) == (props.shape, props.dtype) == (shape, np.dtype(kind))
    assert iio.immeta(path)["bit_depth"] == 8 * found.itemsize
    if shape[2:] in ((2,), (4,)):
        assert np.array_equal(found[..., -1], pixels[..., -1])
    part = iio.imread(path, region=(10, 5, 30, 45)).astype(int)
    assert np.abs(part - found[5:45, 10:30]).max() <= np.iinfo(kind).max // 255
    for whole in (found, iio.imread(path, region=(10, 5, 30, 45))):
        assert whole.flags.c_contiguous  # which hashes, `memoryview.cast` and others ask for
    assert iio.imread(path, index=...).shape == (1, *shape)
    assert iio.improps(path, index=...).n_images == 1
    assert [each.shape for each in iio.imiter(path)] == [shape]


def test_arrays_of_other_byte_orders() -> None:
    pixels = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40) * 60
    one, other = (
        iio.imwrite("<bytes>", each, extension=".lic", **TINY)
        for each in (pixels, pixels.astype(">u2"))
    )
    assert one == other


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of the plugin that imageio would otherwise take."""
    data = lic(picture("RGB", (200, 200)), tile=64)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64)
    with pytest.raises(Image.DecompressionBombError):
        iio.imread(data, extension=".lic")
    found = iio.imread(data, extension=".lic", region=(0, 0, 50, 50))
    assert found.shape == (50, 50, 3)


def test_bytes_alone_keep_16_bits() -> None:
    """Before Pillow's plugin gets them, which shows 8; others' bytes are left to it."""
    pixels = np.full((24, 40, 3), 12345, np.uint16)
    data = iio.imwrite("<bytes>", pixels, extension=".lic", **TINY)
    assert iio.imread(data).dtype == iio.imread(io.BytesIO(data)).dtype == np.uint16
    png = io.BytesIO()
    picture().save(png, "PNG")
    assert np.array_equal(iio.imread(png.getvalue()), np.asarray(picture()))


def test_streams_that_do_not_seek() -> None:
    """As imageio reads other formats from them."""
    png = io.BytesIO()
    picture().save(png, "PNG")
    for data, known in ((lic(), {"extension": ".lic"}), (png.getvalue(), {})):
        out, into = os.pipe()
        with os.fdopen(into, "wb") as sink:
            sink.write(data)
        with os.fdopen(out, "rb") as pipe:
            assert iio.imread(pipe, **known).shape == (24, 40, 3)  # type: ignore[call-overload]


def test_metadata_and_previews(tmp_path: Path) -> None:
    path = tmp_path / "a.lic"
    pixels = np.asarray(picture("RGB", (100, 60)))
    iio.imwrite(path, pixels, exif=EXIF, xmp=XMP, icc_profile=ICC, preview=32, **TINY)
    meta = iio.immeta(path)
    assert (meta["exif"], meta["xmp"], meta["icc_profile"]) == (EXIF, XMP, ICC)
    assert [tag for tag, _ in split(path.read_bytes())[1]] == ["i", "e", "x", "p", "T"]
    iio.imwrite(path, pixels, target_size=150, model="tiny")
    assert path.stat().st_size <= 150


def test_the_old_interface(tmp_path: Path) -> None:
    pixels = np.asarray(picture())
    iio2.imwrite(tmp_path / "a.lic", pixels, **TINY)
    assert iio2.imread(tmp_path / "a.lic").shape == pixels.shape
    assert len(iio2.mimread(tmp_path / "a.lic")) == 1
    with iio2.get_reader(tmp_path / "a.lic") as reader:
        assert reader.get_data(0).shape == pixels.shape
    for format_ in ("lic", "LIC", ".lic"):
        file = io.BytesIO()
        iio2.imwrite(file, pixels, format=format_, **TINY)
        assert file.getvalue() == (tmp_path / "a.lic").read_bytes()


def test_frames_per_second(tmp_path: Path) -> None:
    frames = [np.full((24, 40, 3), 60 * n, np.uint8) for n in range(3)]
    path = tmp_path / "a.lic"
    iio.imwrite(path, frames, fps=5, **TINY)
    assert iio.immeta(path)["duration"] == [200] * 3
    iio.imwrite(path, frames, fps=5, duration=40, **TINY)
    assert iio.immeta(path)["duration"] == [40] * 3
    with pytest.raises(ValueError, match="fps: found 0"):
        iio.imwrite(path, frames, fps=0, **TINY)


class OneAnswer(http.server.BaseHTTPRequestHandler):
    """Serves a picture once."""

    left = 1

    def do_GET(self) -> None:
        self.send_response(200 if type(self).left else 410)
        self.end_headers()
        if type(self).left:
            type(self).left -= 1
            picture().save(self.wfile, "PNG")

    def log_message(self, *_: object) -> None:
        pass


def test_addresses_without_a_suffix_are_asked_once() -> None:
    """imageio asks again for each plugin that looks, and comes to this one first."""
    with http.server.HTTPServer(("localhost", 0), OneAnswer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            found = iio.imread(f"http://localhost:{server.server_port}/photo/1234")
        finally:
            server.shutdown()
    assert np.array_equal(found, np.asarray(picture()))


@pytest.mark.parametrize(
    ("pixels", "error", "message"),
    [
        (np.zeros((4, 5, 5), np.uint8), ValueError, "allowed are"),
        (np.zeros((0, 5), np.uint8), ValueError, "allowed are"),
        (np.zeros((4, 5)), ValueError, "allowed are uint8 and uint16"),
        ([np.zeros((4, 5), np.uint8), np.zeros((5, 5), np.uint8)], ValueError, "one size"),
        ([], ValueError, "images: found none"),
    ],
)
def test_what_cannot_be_written(pixels: Any, error: type, message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        iio.imwrite(tmp_path / "a.lic", pixels, plugin="pillow_lic", **TINY)
    with pytest.raises(ValueError, match="quality"):
        iio.imwrite(tmp_path / "a.lic", np.zeros((4, 5), np.uint8), quality=0)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.lic"
    path.write_bytes(lic()[:-3])
    with pytest.raises(errors.TruncatedError):
        iio.imread(path)
    path.write_bytes(lic() + b"T")
    with pytest.raises(errors.FormatError, match="after the last tile"):
        iio.imread(path)
    path.write_bytes(lic(exif=EXIF).replace(EXIF[-9:], b"\x06" * 9))
    with pytest.raises(errors.ChecksumError, match="part e"):
        iio.imread(path)
    path.write_bytes(lic())
    with pytest.raises(ValueError, match="index: found 1"):
        iio.imread(path, index=1)
    with pytest.raises(ValueError, match="region"):
        iio.imread(path, region=(0, 0, 41, 1))
    Image.new("RGB", (4, 4)).save(tmp_path / "b.lic", "PNG")  # a liar, but a picture
    assert iio.imread(tmp_path / "b.lic").shape == (4, 4, 3)


def test_registering_twice_changes_nothing() -> None:
    """One entry, however often asked."""
    pillow_lic.register()
    pillow_lic.register()
    assert len(known_extensions[".lic"]) == 1
    assert [each.extension for each in extension_list].count(".lic") == 1


@pytest.mark.parametrize("first", ["pillow_lic", "imageio.v3"])
def test_imageio_first_or_later(first: str, tmp_path: Path) -> None:
    """The very first read is ours, whatever was imported first."""
    (tmp_path / "a.lic").write_bytes(lic())
    code = (
        f"import sys, {first}, pillow_lic, imageio.v3\n"
        "from imageio.config import known_extensions, known_plugins\n"
        "assert known_extensions['.lic'][0].priority == ['pillow_lic', 'pillow']\n"
        "assert known_plugins['pillow_lic'].plugin_class.__name__ == 'LicPlugin'\n"
        "assert not [f for f in sys.meta_path if type(f).__name__ == '_Finder']\n"
        "assert imageio.v3.immeta(sys.argv[1])['bit_depth'] == 8  # Pillow's plugin has no such\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.lic"], check=True)
