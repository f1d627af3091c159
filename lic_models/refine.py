"""Refinement: the latents of one image, moved to where they serve that image best.

The analysis was trained to suit all images. For a single one, gradient steps on the latents
themselves find less rate and less distortion; the decoder stays as it is. Rounding is relaxed as
by Yang, Bamler and Mandt (Improving Inference for Neural Image Compression, NeurIPS 2020). Given
many steps, values are drawn between their two neighbours, ever more decidedly: stochastic Gumbel
annealing. A few steps are too few to average over draws, and take the middle of them instead;
after many of these, though, values settle where only the relaxation likes them.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from .base import Latents, Model
from .boxes import Box, boxes, grow, within
from .entropy import UNIT, estimate, nearest
from .levels import lmbda
from .tunes import PLAIN, TUNES, Distortion

__all__ = ["EFFORT_MAX", "NEAR", "refine"]

EFFORT_MAX = 9
BLOCK = 32  # samples of y that are synthesised at a time, without those around: bounds memory
NEAR = 3  # samples of y around a block that count. Pixels depend on all of `Model.halo`, but so
# little beyond these that what refinement gains changes by less than a hundredth
DRAWN = 64  # from so many steps on values are drawn
RATE = 0.05, 0.6  # learning rate, and the power of the number of steps that divides it
TRAVEL = 0.125  # most that the rates of all steps may sum to: farther, bits go and pixels with them
RATE_DRAWN = 0.01
WARM = 0.3  # temperature at first
COLD, COLD_DRAWN = 0.01, 0.1  # and at last
ELSEWHERE = 2.0  # factor on the rate where the weights were trained for another tune: what serves
# this one is farther away. It saves 2 to 6 % more; 3 or 4 lose that again (2 and 4 steps).
EDGE = 1e-3  # how close to its neighbours a value may come before atanh is infinite


def _annealed(
    temperature: float, chance: torch.Generator | None, value: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw values between their neighbours, or take the middle; the rate is that of the result."""
    low = value.detach().floor()
    share = (value - low).clamp(EDGE, 1 - EDGE)
    logit = (torch.atanh(share) - torch.atanh(1 - share)) / temperature
    if chance is not None:
        uniform = torch.rand(share.shape, generator=chance, dtype=share.dtype, device=share.device)
        logit = (logit + uniform.clamp(1e-6, 1 - 1e-6).logit()) / temperature
    relaxed = low + torch.sigmoid(logit)
    return relaxed, relaxed


@torch.inference_mode(False)
@torch.enable_grad()
def refine(
    model: Model,
    latents: Latents,
    x: Tensor,
    around: Tensor,
    box: Box,
    level: int,
    effort: int,
    tune: str = PLAIN,
    trained: str = PLAIN,
) -> Latents:
    """Return better latents of one tile, or the same if none were found.

    Args:
        model: frozen. latents: (1, C, H, W) each, as `Model.latents` gives them.
        x: (1, 3, h, w) in [0, 1], what the tile shows; h and w without padding.
        around: (1, M, H', W'), y of the tile and what surrounds it; box: of the tile, in pixels.
        level: 100 to 10000. effort: 1 to 9, for 2 to 512 gradient steps.
        tune: key of `TUNES`, the distortion that is weighed against rate; trained: what the
            weights were trained for.
    """
    count = 2**effort
    where = x.new_tensor([float(level)])
    found = {name: latent.clone().requires_grad_() for name, latent in latents.items()}
    scene = (around + 0.5).floor()

    def distortion(y_hat: Tensor) -> float:
        """What is wrong with the picture, in bits; leaves its gradient in y_hat."""
        return _distortion(model, y_hat, x, scene, box, where, TUNES[tune].distortion)

    chance, cold = None, COLD
    rate = min(RATE[0] / count ** RATE[1], TRAVEL / count)
    rate *= 1.0 if tune == trained else ELSEWHERE
    if count >= DRAWN:
        chance = torch.Generator(x.device).manual_seed(0)  # one image, one file
        cold, rate = COLD_DRAWN, RATE_DRAWN
    optimizer = torch.optim.Adam(found.values(), lr=rate, betas=(0.9, 0.99))
    for at in range(count):
        left = 1 - at / count
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 2 * left)
        rounding = partial(_annealed, cold + (WARM - cold) * left, chance)
        decoded, bits = estimate(model, found, where, rounding)
        y_hat = decoded["y"] / UNIT
        leaf = y_hat.detach().requires_grad_()
        distortion(leaf)
        assert leaf.grad is not None
        optimizer.zero_grad()
        torch.autograd.backward(bits.sum() + (leaf.grad * y_hat).sum())
        optimizer.step()

    def cost(latents: Latents) -> float:
        with torch.no_grad():
            decoded, bits = estimate(model, latents, where, nearest)
        return float(bits) + distortion(decoded["y"] / UNIT)

    better = {name: latent.detach() for name, latent in found.items()}
    return better if cost(better) < cost(latents) else latents


def _distortion(
    model: Model,
    y_hat: Tensor,
    x: Tensor,
    scene: Tensor,
    box: Box,
    where: Tensor,
    measure: Distortion,
) -> float:
    weight = float(lmbda(where)) * 255**2
    step = model.pixels
    top, left, bottom, right = (side // step for side in box)
    total = 0.0
    for inner in boxes(bottom - top, right - left, BLOCK):
        shown = scene.clone()
        shown[:, :, top:bottom, left:right] = y_hat
        placed = inner[0] + top, inner[1] + left, inner[2] + top, inner[3] + left
        near = grow(placed, NEAR, *scene.shape[2:])
        part = shown[:, :, near[0] : near[2], near[1] : near[3]]
        part = part.contiguous(memory_format=torch.channels_last)
        out = within(model.synthesise(part, where), placed, near, 1, step)
        wanted = x[:, :, inner[0] * step : inner[2] * step, inner[1] * step : inner[3] * step]
        out = out[:, :, : wanted.shape[2], : wanted.shape[3]]
        loss = weight * wanted[0, 0].numel() * measure(out, wanted)[0]
        if y_hat.requires_grad:
            torch.autograd.backward(loss)
        total += float(loss.detach())
    return total
