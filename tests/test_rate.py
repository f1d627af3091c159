"""Rate control: sizes are never exceeded, PSNR is always reached, both are met closely."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import TINY, run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import EXIF, lic, opened

import lic_models
from lic_models.codec import Coded
from lic_models.transforms import Kept, Transforms
from pillow_lic import _rate
from pillow_lic._rate import Guess, Target, guess, search


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Noise of several sizes: every level costs something else."""
    random = np.random.default_rng(0)
    total = np.zeros((192, 256, 3))
    for edge in (4, 16, 64):
        small = random.integers(0, 256, (192 // edge, 256 // edge, 3)).astype(np.uint8)
        total += np.asarray(Image.fromarray(small).resize((256, 192), Image.Resampling.BICUBIC))
    return Image.fromarray((total / 3).astype(np.uint8))


def psnr(one: Image.Image, other: Image.Image) -> float:
    error = np.asarray(one, float) - np.asarray(other, float)
    return 10 * math.log10(255**2 / float(np.square(error).mean()))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_sizes(photo: Image.Image, share: float):
    low, high = (len(lic(photo, quality=quality)) for quality in (1, 100))
    size = round(low + share * (high - low))
    found = len(lic(photo, target_size=size, exif=EXIF))
    assert 0.99 * size <= found <= size
    bits = 8 * size / (256 * 192)
    assert len(lic(photo, target_bpp=bits, exif=EXIF)) == found


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_psnr(photo: Image.Image, mode: str):
    source = photo.convert(mode)
    colours = "L" if mode == "L" else "RGB"
    ends = [
        psnr(opened(lic(source, quality=quality)).convert(colours), source.convert(colours))
        for quality in (10, 90)
    ]
    wanted = sum(ends) / 2
    found = psnr(opened(lic(source, target_psnr=wanted)).convert(colours), source.convert(colours))
    assert wanted - 1e-3 <= found <= wanted + 0.06


def test_the_picture_is_no_bomb(photo: Image.Image, monkeypatch: pytest.MonkeyPatch):
    """What is saved is the caller's own, also where services keep the limit low."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)
    lic(photo, target_psnr=20)


def test_more_than_enough_bytes_is_the_best_quality(photo: Image.Image):
    assert lic(photo, target_size=10**9) == lic(photo, quality=100)


def test_what_cannot_be_is_refused(photo: Image.Image):
    least = len(lic(photo, quality=1))
    with pytest.raises(ValueError, match=f"target_size: found 50, allowed is at least {least}"):
        lic(photo, target_size=50)
    with pytest.raises(ValueError, match="target_psnr: found 90, allowed is at most"):
        lic(photo, target_psnr=90)
    with pytest.raises(
        ValueError, match=r"target_bpp: found 0.01, allowed is at least 0\."
    ) as caught:
        lic(photo, target_bpp=0.01)
    allowed = float(str(caught.value).split()[-2])
    assert len(lic(photo, target_bpp=allowed)) == least


@pytest.mark.parametrize(
    "options",
    [
        {"target_size": 0},
        {"target_size": 1e-320},
        {"target_size": 10**400},
        {"target_bpp": -1},
        {"target_psnr": math.nan},
        {"target_size": "big"},
        {"target_size": True},
        {"target_size": 1000, "target_bpp": 1},
        {"target_psnr": 30, "quality": 50},
    ],
)
def test_bad_values(photo: Image.Image, options: dict[str, Any]):
    with pytest.raises(ValueError, match=r"target_|quality: found quality, target_psnr"):
        lic(photo, **options)


def test_the_command(photo: Image.Image, tmp_path: Path):
    photo.save(tmp_path / "a.png")
    run("encode", tmp_path / "a.png", *TINY, "--target-size", 1500)
    assert 1400 < (tmp_path / "a.lic").stat().st_size <= 1500
    result = run("encode", tmp_path / "a.png", *TINY, "--target-size", -1, "--overwrite", code=2)
    assert "found -1" in result.stderr


def test_bits_per_pixel_of_all_frames(photo: Image.Image):
    moving = {"save_all": True, "append_images": [photo, photo]}
    bits = 8 * len(lic(photo, target_bpp=0.25, **moving)) / (3 * 256 * 192)
    assert 0.247 <= bits <= 0.25


@given(
    st.floats(-6, -1),
    st.floats(1.5, 9),
    st.floats(0.3, 3),
    st.floats(0.02, 0.98),
    st.integers(100, 10000),
)
def test_few_encodes_on_any_curve(start: float, rise: float, bend: float, share: float, first: int):
    """Curves much steeper, flatter and more bent than those of pictures, and any first guess."""
    asked: list[int] = []

    def measure(level: int) -> float:
        asked.append(level)
        return math.exp(start + 15 + rise * ((level - 100) / 9900) ** bend)

    goal = math.exp(start + 15 + rise * share)
    found = search(_rate.wanted({"target_size": goal}, (1, 1)), measure, Guess(first, 3.3e-4))
    assert len(asked) <= 9  # as the README says
    assert measure(found) <= goal * (1 + 1e-9)
    assert measure(found) >= 0.85 * goal or measure(found + 1) > goal


def test_usual_curves_take_four_from_the_middle():
    """Sizes as those of photos: 0.09, 0.55 and 2.06 bits per pixel at quality 5, 50 and 100."""
    asked: list[int] = []

    def measure(level: int) -> float:
        asked.append(level)
        return float(np.exp(np.interp(level, [500, 5000, 10000], np.log([90e3, 550e3, 2060e3]))))

    counts = []
    for size in (120e3, 300e3, 500e3, 800e3, 1.5e6):
        asked.clear()
        found = search(Target("target_size", size, 0.01), measure, Guess(5050, 3.3e-4))
        counts.append(len(asked))
        assert 0.99 * size - 1 <= measure(found) <= size
    assert sum(counts) / len(counts) <= 4


def test_guesses_rise_with_what_is_wanted(photo: Image.Image):
    pixels = np.asarray(photo)
    for name, values in (("target_size", (3e3, 5e3, 8e3)), ("target_psnr", (26, 30, 34))):
        targets = [_rate.wanted({name: value}, photo.size) for value in values]
        levels = [guess(target, pixels).level for target in targets if target]
        assert 100 < levels[0] < levels[1] < levels[2] < 10000
        wide = pixels.astype(np.uint16) * 257
        assert [guess(target, wide).level for target in targets if target] == levels
    frames = guess(Target("target_size", 15e3, 0.01), pixels, 3)
    assert frames == guess(Target("target_size", 5e3, 0.01), pixels)
    for size, level in ((1, 100), (1e9, 10000)):
        assert guess(Target("target_size", size, 0.01), pixels).level == level
    assert guess(Target("target_psnr", 40, 0.05), np.zeros((8, 9, 3), np.uint8)).slope > 0


def test_a_finer_picture_needs_a_lower_level(photo: Image.Image):
    target = Target("target_size", 5e3, 0.01)
    smooth = photo.resize((64, 48)).resize(photo.size, Image.Resampling.BICUBIC)
    assert guess(target, np.asarray(smooth)).level > guess(target, np.asarray(photo)).level + 500


@pytest.mark.parametrize("target", [{}, {"target_size": 3000}, {"target_psnr": 21}])
def test_tiles_are_counted(photo: Image.Image, target: dict[str, float]):
    """Of every attempt, whatever is searched for."""
    done: list[None] = []
    photo.save(
        io.BytesIO(), "LIC", model="tiny", tile=128, on_tile=lambda: done.append(None), **target
    )
    attempts, rest = divmod(len(done), 4)
    assert rest == 0
    assert attempts >= 1 if target else attempts == 1


def test_a_caller_may_give_up(photo: Image.Image):
    """What `on_tile` raises is what the caller sees."""

    class GaveUpError(RuntimeError):
        pass

    def stop() -> None:
        raise GaveUpError

    with pytest.raises(GaveUpError):
        photo.save(io.BytesIO(), "LIC", model="tiny", on_tile=stop)
    image = opened(lic(photo))
    image.on_tile = stop
    with pytest.raises(GaveUpError):
        image.load()
    with pytest.raises(ValueError, match="on_tile: found 5"):
        lic(photo, on_tile=5)


def test_levels_nearby_share_an_analysis(photo: Image.Image, monkeypatch: pytest.MonkeyPatch):
    codec = lic_models.load("tiny", "cpu")
    pixels = np.asarray(photo)
    analysed: list[int] = []

    def counted(self: Transforms, image: Any, level: int, *rows: int) -> Any:
        analysed.append(level)
        return original(self, image, level, *rows)

    original = Transforms.analyse
    monkeypatch.setattr(Transforms, "analyse", counted)
    kept: Kept = {}
    found = {at: codec.encode_tiles(pixels, at, 0, kept=kept) for at in (5000, 5001, 5500, 5501)}
    assert analysed == [5000, 5501]
    for level in found:
        fresh = codec.encode_tiles(pixels, level, 0)
        assert len(found[level][0]) == pytest.approx(len(fresh[0]), rel=0.03)
        if level in (5000, 5501):
            assert found[level] == fresh
        both = [Coded(each, 256, 192, level, 0) for each in (found[level], fresh)]
        shown = [codec.decode_tiles(each) for each in both]
        errors = [np.square(image.astype(float) - pixels).mean() for image in shown]
        assert errors[0] == pytest.approx(errors[1], rel=0.03)


def test_analyses_of_several_bands_are_kept_apart(photo: Image.Image):
    """A tall image of small tiles is analysed a band of rows at a time."""
    codec = lic_models.load("tiny", "cpu")
    pixels = np.asarray(photo.resize((64, 1160)))
    kept: Kept = {}
    first = codec.encode_tiles(pixels, 5000, 64, kept=kept)
    assert sorted(kept) == [0, 1024]
    assert first == codec.encode_tiles(pixels, 5000, 64)
    assert codec.encode_tiles(pixels, 5000, 64, kept=kept) == first
    near = codec.encode_tiles(pixels, 5300, 64, kept=kept)
    fresh = codec.encode_tiles(pixels, 5300, 64)
    assert sum(map(len, near)) == pytest.approx(sum(map(len, fresh)), rel=0.03)
