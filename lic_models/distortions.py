"""Distortions that weights and gradient steps on latents can serve: squared error, or structure.

Both are in one unit, squared error, so that the rate they are worth is one too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .tunes import PLAIN, STRUCTURE

__all__ = ["TUNES", "Distortion", "Tune", "ms_ssim"]

Distortion = Callable[[Tensor, Tensor], Tensor]  # of images (B, 3, H, W) about [0, 1]; (B,)

WINDOW, SIGMA = 11, 1.5
STABLE = 0.01**2, 0.03**2  # K1, K2 squared, of a range of 1
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # exponents, finest first
# Squared error of [0, 1] that costs as many bits as the whole way from 1 to 0 of MS-SSIM: the
# slopes of both over rate, on Kodak, keep this ratio within an eighth from quality 5 to 80.
EXCHANGE = 0.023


def _blur(maps: Tensor) -> Tensor:
    """Gaussian means of maps (B, C, H, W), where the window fits."""
    x = torch.arange(WINDOW, dtype=maps.dtype, device=maps.device) - WINDOW // 2
    g = torch.softmax(-x.square() / (2 * SIGMA**2), 0)
    flat = maps.flatten(0, 1)[None]  # many channels of one image are faster than many images
    count = flat.shape[1]
    flat = F.conv2d(flat, g.view(1, 1, -1, 1).repeat(count, 1, 1, 1), groups=count)
    flat = F.conv2d(flat, g.view(1, 1, 1, -1).repeat(count, 1, 1, 1), groups=count)
    return flat.view(*maps.shape[:2], *flat.shape[2:])


def _compare(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean luminance and contrast-structure terms (B, C) of two batches of images."""
    mean_x, mean_y, xx, yy, xy = _blur(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    c1, c2 = STABLE
    light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    spread = xx - mean_x**2 + yy - mean_y**2
    structure = (2 * (xy - mean_x * mean_y) + c2) / (spread + c2)
    return (light * structure).mean((2, 3)), structure.mean((2, 3))


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return MS-SSIM (B,), mean of channels, of images (B, C, H, W) in [0, 1]; differentiable.

    Multi-scale structural similarity (Wang, Simoncelli and Bovik, 2003). Images too small for
    five scales, below 161 pixels, are compared at those whose window fits, with exponents that
    sum to the same.
    """
    fit = sum(min(x.shape[2:]) > (WINDOW - 1) * 2**scale for scale in range(len(SCALES)))
    if not fit:
        raise ValueError(f"MS-SSIM: found sides {tuple(x.shape[2:])}, allowed are {WINDOW} or more")
    exponents = [each * sum(SCALES) / sum(SCALES[:fit]) for each in SCALES[:fit]]
    total = x.new_ones(x.shape[:2])
    for scale, exponent in enumerate(exponents):
        if scale:
            pad = [side % 2 for side in x.shape[2:]]
            x, y = F.avg_pool2d(x, 2, padding=pad), F.avg_pool2d(y, 2, padding=pad)
        whole, structure = _compare(x, y)
        term = whole if scale == fit - 1 else structure
        total = total * term.clamp_min(1e-6) ** exponent
    return total.mean(1)


def _squared(out: Tensor, wanted: Tensor) -> Tensor:
    return (out - wanted).square().flatten(1).mean(1)


def _dissimilar(out: Tensor, wanted: Tensor) -> Tensor:
    if min(out.shape[2:]) < WINDOW:
        return _squared(out, wanted)
    return EXCHANGE * (1 - ms_ssim(out, wanted))


class Tune(NamedTuple):
    """A distortion, and how it is told.

    whole: what 1 of the measure is worth in squared error; decibels are below that.
    """

    distortion: Distortion
    whole: float


TUNES = {PLAIN: Tune(_squared, 1.0), STRUCTURE: Tune(_dissimilar, EXCHANGE)}
