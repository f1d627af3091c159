"""How far a decoded image is from the original, and how far apart two curves are."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.interpolate import PchipInterpolator

    Pixels = NDArray[np.uint8]  # (H, W, 3), RGB

__all__ = [
    "MS_SSIM_SIDE",
    "Curve",
    "bd_rate",
    "bd_rate_if_any",
    "check_extra",
    "decibels",
    "least_gain",
    "ms_ssim",
    "number",
    "psnr",
]

MS_SSIM_SIDE = 161  # pixels: a window of 11 must fit after four halvings
_EXTRA = "matplotlib", "pytorch_msssim", "pywt", "scipy"

Curve = Sequence[tuple[float, float]]  # of (rate, measure), in any order


def check_extra() -> None:
    """Raise ImportError, naming what to install, if a package for benchmarks is missing."""
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"benchmarks need packages that are missing: {', '.join(missing)}; "
            'install them with: pip install "pillow-lic[bench]"'
        )


def _check_pair(a: Pixels, b: Pixels) -> None:
    for image in (a, b):
        if image.dtype != "uint8" or image.ndim != 3 or image.shape[2] != 3:
            found = f"{image.shape} {image.dtype}"
            raise ValueError(f"image: found {found}, allowed is uint8 (H, W, 3)")
    if a.shape != b.shape:
        raise ValueError(f"images: found shapes {a.shape} and {b.shape}, allowed are equal ones")


def psnr(a: Pixels, b: Pixels) -> float:
    """Return the PSNR in dB over all samples of two RGB images; infinite if they are equal."""
    import numpy as np

    _check_pair(a, b)
    error = float(np.square(a.astype(np.int32) - b).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def ms_ssim(a: Pixels, b: Pixels) -> float:
    """Return the MS-SSIM of two RGB images (Wang, Simoncelli and Bovik, 2003), mean of channels."""
    import numpy as np
    import torch
    from pytorch_msssim import ms_ssim as measure

    _check_pair(a, b)
    if min(a.shape[:2]) < MS_SSIM_SIDE:
        found = f"{a.shape[1]} x {a.shape[0]}"
        raise ValueError(f"MS-SSIM: found {found} pixels, allowed are sides from {MS_SSIM_SIDE}")
    pair = [torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() for image in (a, b)]
    with torch.inference_mode():
        return float(measure(*pair, data_range=255))


def decibels(similarity: float) -> float:
    """Return an MS-SSIM in dB, which spreads out the values close to 1."""
    return -10 * math.log10(max(1 - similarity, 1e-10))


def _log_rate(curve: Curve) -> tuple[PchipInterpolator, float, float]:
    """Return log-rate as a function of the measure, with its range."""
    from scipy.interpolate import PchipInterpolator

    cheapest: dict[float, float] = {}
    for rate, value in curve:
        if not (rate > 0 and math.isfinite(rate) and math.isfinite(value)):
            raise ValueError(f"curve: found ({rate:g}, {value:g}), allowed are finite, rate over 0")
        cheapest[value] = min(rate, cheapest.get(value, math.inf))
    if len(cheapest) < 2:
        raise ValueError(f"curve: found {len(cheapest)} different points, allowed are 2 or more")
    values = sorted(cheapest)
    interpolator = PchipInterpolator(values, [math.log(cheapest[value]) for value in values])
    return interpolator, values[0], values[-1]


def bd_rate(curve: Curve, anchor: Curve) -> float:
    """Return how much more rate a curve needs than its anchor at the same measure, in percent.

    Bjontegaard's difference with a piecewise cubic (PCHIP) log-rate, over the range of the measure
    that both curves cover; NaN if there is none.
    """
    ours, low, high = _log_rate(curve)
    theirs, anchor_low, anchor_high = _log_rate(anchor)
    low, high = max(low, anchor_low), min(high, anchor_high)
    if low >= high:
        return math.nan
    mean = float(ours.integrate(low, high) - theirs.integrate(low, high)) / (high - low)
    return 100 * math.expm1(mean)


def number(value: float) -> float | None:
    """Return a measure as JSON has it, which knows no NaN."""
    return None if math.isnan(value) else value


def bd_rate_if_any(curve: Curve, anchor: Curve) -> float | None:
    """Return `bd_rate`, or None where a curve is a point, say, or one that takes no bits."""
    try:
        return number(bd_rate(curve, anchor))
    except ValueError:
        return None


def least_gain(curve: Curve, anchor: Curve, low: float, high: float) -> float:
    """Return the smallest lead in the measure over an anchor at equal rate from `low` to `high`.

    Linear in log-rate between points, on the part of the range that both curves cover; NaN if
    there is none.
    """
    import numpy as np

    low = max(low, *(min(points)[0] for points in (curve, anchor)))
    high = min(high, *(max(points)[0] for points in (curve, anchor)))
    if low >= high:
        return math.nan
    at = np.linspace(math.log(low), math.log(high), 500)

    lead = np.zeros(len(at))
    for sign, points in ((1, curve), (-1, anchor)):
        rates, values = zip(*sorted(points), strict=True)
        lead += sign * np.interp(at, np.log(rates), values)
    return float(lead.min())
