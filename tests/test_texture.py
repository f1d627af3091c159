"""Statistics of texture, and `lic texture` on a small picture and the smallest model."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from commands import run
from PIL import Image, ImageFilter
from samples import picture

from pillow_lic.cli import wavelets

TINY = "tiny,jpeg"


texture = partial(run, "texture", code=None)


def grain(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(128, 20, (192, 176, 1))
    return np.repeat(noise.clip(0, 255), 3, 2).astype(np.uint8)


def test_equal_images_have_equal_texture() -> None:
    pixels = np.asarray(picture("RGB", (200, 176)))
    found = wavelets.compare(pixels, pixels)
    assert (found.gradients, found.wavelets) == (0, 0)
    assert found.energy == (1, 1, 1)
    flat = np.full_like(pixels, 7)
    assert wavelets.compare(flat, flat).gradients == 0


def test_grain_may_move_but_not_vanish() -> None:
    original, other = grain(1), grain(2)
    blurred = np.asarray(Image.fromarray(original).filter(ImageFilter.GaussianBlur(1)))
    moved, lost = (wavelets.compare(original, image) for image in (other, blurred))
    assert moved.gradients < 0.05 < 0.3 < lost.gradients
    assert 3 * moved.wavelets < lost.wavelets
    assert moved.energy == pytest.approx((1, 1, 1), rel=0.1)
    assert lost.energy[0] < 0.1 < lost.energy[1] < lost.energy[2] < 1


def test_fine_octaves_come_first() -> None:
    original = grain(1)
    halved = Image.fromarray(original).resize((88, 96), Image.Resampling.BOX)
    coarse = np.asarray(halved.resize((176, 192), Image.Resampling.BICUBIC))
    energy = wavelets.compare(original, coarse).energy
    assert energy[0] < 0.1 < 0.3 < energy[1] < energy[2]


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="found shapes"):
        wavelets.compare(grain(1), grain(1)[1:])


def test_command(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for index, size in enumerate(((176, 200), (208, 168))):
        picture("RGB", size).save(folder / f"{index}.png")
    found = texture(folder, "--coders", TINY, "--quality", "40,60", "--limit", 2, "--out", out)
    assert found.exit_code == 0, found.output
    rows = json.loads((out / "texture.json").read_text(encoding="utf-8"))["rows"]
    assert len(rows) == 2 * 2 * 2
    for ours, jpeg in zip(rows[::2], rows[1::2], strict=True):
        assert (ours["coder"], jpeg["coder"]) == ("tiny", "jpeg")
        assert ours["bpp"] <= jpeg["bpp"]
    with Image.open(out / "texture.png") as image:
        assert image.width > 500
    assert "energy kept" in found.output
    tuned = texture(folder, "--coders", "tiny,tiny ms-ssim", "--limit", 1, "--out", out)
    assert "found 0 with tune 'ms-ssim' and weights for 'psnr'" in tuned.output


def test_bad_options(tmp_path: Path) -> None:
    for coders, message in (
        ("tiny", "two or more"),
        ("jpeg,tiny", "one of our models"),
        ("tiny,gif", "gif"),
        ("tiny,tiny vmaf", "vmaf"),
    ):
        found = texture(tmp_path, "--coders", coders, "--out", tmp_path)
        assert found.exit_code == 2, found.output
        assert message in found.output
    found = texture(tmp_path, "--coders", TINY, "--quality", "0", "--out", tmp_path)
    assert found.exit_code == 2
    assert "--quality" in found.output
