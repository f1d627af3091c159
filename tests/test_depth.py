"""16 bits per sample: kept where Pillow can show them, rounded where it cannot, never clipped."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from samples import lic, opened
from specification import WEIGHTS, second

from lic_models import pixels
from pillow_lic import _codec, _writing, container, errors, tensors

reference, synthesis = second(), second("synthesis")

Array = npt.NDArray[Any]


def ramp(channels: int) -> Array:
    """Slow ramps between levels that 8 bits have, (48, 80, C) uint16."""
    y, x = np.mgrid[0:48, 0:80]
    return np.stack([20000 + 150 * x + 90 * y * (c + 1) for c in range(channels)], 2).astype("u2")


def coded(pixels: Array, **options: Any) -> bytes:
    given = {"model": "tiny", "quality": 90, "tile": 0, "device": "cpu"}
    return _writing.file_of([pixels], {}, {**given, **options})


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_grey_of_16_bits(mode: str):
    source = ramp(1)[..., 0]
    image = Image.frombytes(
        mode, (80, 48), source.astype(">u2" if "B" in mode else "<u2").tobytes()
    )
    data = lic(image, quality=90)
    back = opened(data)
    assert (back.mode, back.size, back.info["bit_depth"]) == ("I;16", (80, 48), 16)
    found = np.asarray(back).astype(int)
    assert np.abs(found - source).mean() < 3000
    assert len(np.unique(found % 257)) > 20  # levels between those of 8 bits
    assert np.array_equal(np.asarray(opened(data).crop((10, 5, 40, 30))), found[5:30, 10:40])
    assert tensors.read(io.BytesIO(data)).dtype == torch.uint16


def test_the_colour_to_see_through(tmp_path: Path):
    """A 16-bit PNG may have one; where it is the file is clear."""
    pixels = ramp(1)[..., 0]
    pixels[10:20, 10:30] = 4000
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=4000)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "I;16"
        found = opened(lic(image))
    assert (found.mode, found.info["bit_depth"]) == ("LA", 16)
    opacity = np.asarray(found)[..., 1]
    assert np.array_equal(opacity == 0, pixels == 4000)
    assert set(np.unique(opacity)) == {0, 255}


def test_integers_take_the_depth_that_they_need():
    wide = Image.fromarray(ramp(1)[..., 0].astype(np.int32))
    assert wide.mode == "I"
    assert opened(lic(wide)).mode == "I;16"
    assert opened(lic(wide.point(lambda v: v / 300 + 0))).mode == "L"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_arrays(channels: int):
    """Alpha comes back to the bit; Pillow, which has no such mode, sees the nearest 8 bits."""
    source = ramp(channels)
    data = coded(source)
    header = container.read_header(io.BytesIO(data))
    assert (header.mode, header.depth) == (("L", "LA", "RGB", "RGBA")[channels - 1], 16)
    found = tensors.read(io.BytesIO(data)).to(torch.int32).permute(1, 2, 0).numpy()
    assert found.shape == source.shape
    if channels in (2, 4):
        assert np.array_equal(found[..., -1], source[..., -1])
    image = opened(data)
    image.verify()
    shown = np.asarray(opened(data)).reshape(source.shape).astype(int)
    if channels > 1:
        assert shown.max() <= 255
        assert np.abs(shown - found / 257).max() <= 1.01
    with pytest.raises(errors.TruncatedError):
        opened(data[:-2]).load()


@pytest.mark.parametrize("channels", [1, 4])
def test_the_second_decoder_agrees(channels: int, tmp_path: Path):
    path = tmp_path / "a.lic"
    path.write_bytes(coded(ramp(channels)))
    mine = tensors.read(path).to(torch.int32).permute(1, 2, 0).numpy()
    other = synthesis.pixels(reference.decode(path, WEIGHTS, strict=True)).astype(int)
    assert np.abs(mine - other).max() <= 257
    if channels == 4:
        assert np.array_equal(mine[..., 3], other[..., 3])


def test_payloads_do_not_depend_on_the_depth():
    """The same picture in 8 bits times 257."""
    small = (ramp(3) // 257).astype(np.uint8)
    one, other = coded(small), coded(small.astype("u2") * 257)
    assert one[-100:] == other[-100:]
    assert one[10] | 16 == other[10]


def test_writing_tensors():
    x = torch.from_numpy(ramp(3).astype(np.int32)).permute(2, 0, 1)
    file, plain = io.BytesIO(), io.BytesIO()
    tensors.write(file, x.to(torch.uint16), model="tiny")
    tensors.write(plain, x.float() / 65535, model="tiny", bit_depth=16)
    assert file.getvalue() == plain.getvalue()
    with pytest.raises(ValueError, match="bit depth: found 12"):
        tensors.write(plain, x.float() / 65535, model="tiny", bit_depth=12)
    with pytest.raises(ValueError, match="image: found values from"):
        tensors.write(plain, x.float(), model="tiny")


def test_lost_tiles_and_alpha_of_16_bits():
    header = container.read_header(io.BytesIO(coded(ramp(4))))
    parts = container.Parts({}, None, [None])
    found = _codec.decode(header, parts, "cpu")
    assert set(found[..., :3].ravel().tolist()) == {32896}
    assert set(found[..., 3].ravel().tolist()) == {65535}


def test_rate_control_and_previews():
    big = np.kron(ramp(1)[..., 0], np.ones((8, 8))).astype("u2")
    data = lic(Image.fromarray(big), preview=64, target_psnr=20)
    found = np.asarray(opened(data)).astype(float)
    psnr = -10 * np.log10(np.square((found - big) / 65535).mean())
    assert psnr > 20 - 0.05
    image = opened(data)
    assert image.draft(None, (32, 32)) is not None
    small = max(image.size)
    assert 32 <= small <= 64


@pytest.mark.parametrize("depth", [8, 16])
def test_what_overflows_is_a_sample_too(depth: int):
    """Latents that no picture has can make the synthesis of models with GDN give no number."""
    white = 2**depth - 1
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.1, 1.1, 0.25])
    assert pixels.whole(x, depth).tolist() == [0, white, 0, 0, white, round(white / 4)]
