"""Measures of images and curves, against values that can be worked out by hand."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

from pillow_lic.cli import metrics

GREY = np.full((176, 176, 3), 100, np.uint8)


def noisy(amount: int) -> metrics.Pixels:
    """Return a fixed pattern around grey."""
    pattern = np.random.default_rng(1).integers(-amount, amount + 1, (176, 176, 3))
    return (128 + pattern).astype(np.uint8)


def test_psnr_of_a_known_error() -> None:
    """Off by 5 everywhere; by 255, from black to white, does not wrap around in 8 bits."""
    expected = 20 * math.log10(255 / 5)
    assert metrics.psnr(GREY, GREY + 5) == pytest.approx(expected)
    assert metrics.psnr(GREY + 5, GREY) == pytest.approx(expected)
    black = np.zeros((2, 3, 3), np.uint8)
    assert metrics.psnr(black, ~black) == 0
    assert metrics.psnr(black, black) == math.inf


@pytest.mark.parametrize("other", [GREY[:9], GREY[..., 0], GREY.astype(np.float32)])
def test_images_that_cannot_be_compared(other: metrics.Pixels) -> None:
    for measure in (metrics.psnr, metrics.ms_ssim):
        with pytest.raises(ValueError, match="allowed"):
            measure(GREY, other)


def test_ms_ssim_falls_with_noise() -> None:
    clean = noisy(0)
    values = [metrics.ms_ssim(clean, noisy(amount)) for amount in (0, 3, 10, 40)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.9


def test_ms_ssim_refuses_what_five_scales_do_not_fit() -> None:
    side = metrics.MS_SSIM_SIDE
    enough = np.zeros((side, side + 9, 3), np.uint8)
    assert metrics.ms_ssim(enough, enough) == pytest.approx(1)
    with pytest.raises(ValueError, match="found 170 x 160 pixels, allowed are sides from 161"):
        metrics.ms_ssim(enough[1:], enough[1:])


def test_decibels() -> None:
    assert metrics.decibels(0.99) == pytest.approx(20)
    assert metrics.decibels(1) == pytest.approx(100)


CURVE = [(0.1 * 2**step, 25.0 + 3 * step) for step in range(6)]


def test_bd_rate_of_a_scaled_curve() -> None:
    """Three quarters of the rate at every quality is -25 %, in whatever order points come."""
    scaled = [(0.75 * rate, value) for rate, value in reversed(CURVE)]
    assert metrics.bd_rate(scaled, CURVE) == pytest.approx(-25)
    assert metrics.bd_rate(CURVE, scaled) == pytest.approx(100 / 3)
    assert metrics.bd_rate(CURVE, CURVE) == 0


def test_bd_rate_uses_the_common_range_alone() -> None:
    """Log-rate is linear in these curves, so the part below 31 dB weighs nothing."""
    upper = [(0.5 * rate, value) for rate, value in CURVE[2:]]
    assert metrics.bd_rate(upper, CURVE) == pytest.approx(-50)
    assert math.isnan(metrics.bd_rate(CURVE[:3], CURVE[3:]))


def test_bd_rate_of_a_measured_curve() -> None:
    """JPEG and WebP on the Kodak images; -36.0 % comes from another implementation."""
    jpeg_rate = 0.0972, 0.1543, 0.2461, 0.3502, 0.4582, 0.6150, 0.8084, 1.0276, 1.3464, 1.8492
    jpeg_psnr = 21.477, 23.852, 26.245, 27.886, 29.145, 30.491, 31.822, 33.079, 34.700, 36.734
    webp_rate = 0.1026, 0.2174, 0.3264, 0.4762, 0.6280, 0.7687, 0.9390, 1.3812, 2.0664, 3.0148
    webp_psnr = 25.675, 28.109, 29.600, 31.228, 32.657, 33.732, 34.872, 37.313, 39.859, 42.100
    jpeg = [*zip(jpeg_rate, jpeg_psnr, strict=True), (2.4325, 38.860)]
    webp = list(zip(webp_rate, webp_psnr, strict=True))
    assert metrics.bd_rate(webp, jpeg) == pytest.approx(-36.0, abs=0.05)


@pytest.mark.parametrize(
    "bad", [[], CURVE[:1], [*CURVE, (0.0, 50.0)], [*CURVE, (9.0, math.inf)], [(1, 30), (2, 30)]]
)
def test_bad_curves(bad: metrics.Curve) -> None:
    with pytest.raises(ValueError, match=r"curve: found .*, allowed are"):
        metrics.bd_rate(bad, CURVE)


def test_least_gain() -> None:
    """The lead shrinks from 2 dB to 1 dB; only the range asked for counts."""
    gains = 2, 2, 2, 1, 1, 1
    better = [(rate, value + gain) for (rate, value), gain in zip(CURVE, gains, strict=True)]
    assert metrics.least_gain(better, CURVE, 0.1, 0.4) == pytest.approx(2)
    assert metrics.least_gain(better, CURVE, 0.1, 9) == pytest.approx(1)
    assert math.isnan(metrics.least_gain(better, CURVE, 5, 9))


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "scipy" else real(name)
    )
    with pytest.raises(ImportError, match=r'scipy; .*pip install "pillow-lic\[bench\]"'):
        metrics.check_extra()
