"""Refinement: the latents of one image, moved to where they serve that image best.

The analysis was trained to suit all images. For a single one, gradient steps on the latents
themselves find less rate and less distortion; the decoder stays as it is. Rounding is relaxed as
by Yang, Bamler and Mandt (Improving Inference for Neural Image Compression, NeurIPS 2020). The
first steps take the middle between a value's two neighbours; after more than a few of these values
settle where only the relaxation likes them. Given many steps, neighbours are then drawn, ever more
decidedly: stochastic Gumbel annealing.

Few steps must be of the right length. What rounding leaves over is about as large in all channels,
so how large the gradients of a channel are tells how steep its cost is, and a gradient by their
root mean square how far a value is from its best place. With Adam, for which all values are
equally far, two steps saved less than three quarters of what they save now, and 64 what four do.

Pictures that only tell where to go may be rough: in bfloat16, where a CPU has it, steps take a
third less time and leave 0.2 % more bits.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from .base import Latents, Model
from .boxes import Box, boxes, window, within
from .device import roughly
from .distortions import TUNES, Distortion
from .entropy import UNIT, estimate, nearest
from .levels import LEVEL_MAX, lmbda

__all__ = ["EFFORT_MAX", "NEAR", "refine"]

STEPS = 0, 2, 4, 8, 96, 128, 192, 256, 384, 512  # by effort; 16, 32 or 64 gain little over 8
EFFORT_MAX = len(STEPS) - 1
BLOCK = 32  # samples of y that are synthesised at a time, without those around: bounds memory
NEAR = 3  # samples of y around a block that count. Pixels depend on all of `Model.halo`, but so
# little beyond these that what refinement gains changes by less than a hundredth
FIRST = 8  # steps that take the middle; those after them draw
TRAVEL = 0.055, 0.05  # how far a value goes in all whose gradients are its channel's root mean
# square: the second divided by the number of steps less than the first
TRAVEL_DRAWN = 0.18
STRONG = 4.0  # most root mean squares that count
INERTIA = 0.8  # of the gradients of draws, each of which says little
WARM = 0.3  # temperature at first
COLD, COLD_DRAWN = 0.01, 0.1  # and at last
SLOPE = 0.65, 0.6  # factor on the way at quality 0, and how much more it is at 100: at low rates a
# value that crosses to a neighbour moves more of the picture. It saves 0.3 % more (2 steps)
ELSEWHERE = 1.5  # factor on the way where the weights were trained for another tune: what serves
# this one is farther away. It saves up to 2 % more; 2 loses that again (2 and 4 steps).
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
    tune: str,
    trained: str,
) -> Latents:
    """Return better latents of one tile, or the same if none were found.

    Args:
        model: frozen. latents: (1, C, H, W) each, as `Model.latents` gives them.
        x: (1, 3, h, w) in [0, 1], what the tile shows; h and w without padding.
        around: (1, M, H', W'), y of the tile and what surrounds it; box: of the tile, in pixels.
        level: 100 to 10000. effort: 1 to 9, for so many `STEPS`.
        tune: key of `TUNES`, the distortion that is weighed against rate; trained: what the
            weights were trained for.
    """
    count = STEPS[effort]
    first = min(count, FIRST)
    where = x.new_tensor([float(level)])
    found = {name: latent.clone().requires_grad_() for name, latent in latents.items()}
    scene = (around + 0.5).floor()

    def distortion(y_hat: Tensor) -> float:
        """What is wrong with the picture, in bits; leaves its gradient in y_hat."""
        return _distortion(model, y_hat, x, scene, box, where, TUNES[tune].distortion)

    def anneal(
        steps: int, travel: float, cold: float, inertia: float, chance: torch.Generator | None
    ) -> Latents:
        """Take steps, as long as `travel` together, while temperature falls."""
        heading = {name: torch.zeros_like(latent) for name, latent in found.items()}
        left = [1 - at / steps for at in range(steps)]
        shares = [min(1.0, 2 * each) for each in left]
        for each, share in zip(left, shares, strict=True):
            rounding = partial(_annealed, cold + (WARM - cold) * each, chance)
            decoded, bits = estimate(model, found, where, rounding)
            y_hat = decoded["y"] / UNIT
            leaf = y_hat.detach().requires_grad_()
            distortion(leaf)
            assert leaf.grad is not None
            loss = bits.sum() + (leaf.grad * y_hat).sum()
            gradients = torch.autograd.grad(loss, list(found.values()))
            for name, gradient in zip(found, gradients, strict=True):
                heading[name] = inertia * heading[name] + gradient
                _move(found[name], heading[name], travel * share / sum(shares))
        return {name: latent.detach().clone() for name, latent in found.items()}

    farther = 1.0 if tune == trained else ELSEWHERE
    travel = farther * (SLOPE[0] + SLOPE[1] * level / LEVEL_MAX) * (TRAVEL[0] - TRAVEL[1] / first)
    results = [latents, anneal(first, travel, COLD, 0.0, None)]
    if first < count:
        chance = torch.Generator(x.device).manual_seed(0)  # one image, one file
        drawn = farther * TRAVEL_DRAWN, COLD_DRAWN, INERTIA, chance
        results.append(anneal(count - first, *drawn))

    def cost(latents: Latents) -> float:
        with torch.no_grad():
            decoded, bits = estimate(model, latents, where, nearest)
        return float(bits) + distortion(decoded["y"] / UNIT)

    return min(results, key=cost)


@torch.no_grad()
def _move(latent: Tensor, gradient: Tensor, rate: float) -> None:
    """Take a step on (1, C, H, W) against its gradient, as long as that is for its channel."""
    usual = gradient.square().mean((2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    latent -= rate * (gradient / usual).clamp(-STRONG, STRONG)


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
    tile = Box(*(side // step for side in box))
    total = 0.0
    for inner in boxes(tile.height, tile.width, BLOCK):
        shown = scene.clone()
        window(shown, tile, 1)[:] = y_hat
        placed = inner.move(tile.top, tile.left)
        near = placed.grow(NEAR, *scene.shape[2:])
        part = window(shown, near, 1).contiguous(memory_format=torch.channels_last)
        with roughly(x.device):
            made = model.synthesise(part, where)
        out = within(made.float(), placed, near, 1, step)
        wanted = window(x, inner, 1, step)
        out = out[:, :, : wanted.shape[2], : wanted.shape[3]]
        loss = weight * wanted[0, 0].numel() * measure(out, wanted)[0]
        if y_hat.requires_grad:
            torch.autograd.backward(loss)
        total += float(loss.detach())
    return total
