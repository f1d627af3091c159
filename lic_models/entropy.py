"""The coding order at work: `drive` runs a model's steps, `estimate` is its differentiable driver.

A model yields steps; a driver answers each with the dequantised values of that step. The model
cannot tell which driver it talks to, so what the decoder sees is what training optimised. The
other two drivers, `encode` and `decode`, are in `coding.py`: training needs no range coder.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .base import Latents, Model, Step
from .integer import FRAC
from .positions import put, take
from .tables import INDICES, SCALE_MAX, SCALE_MIN

__all__ = ["UNIT", "Shapes", "drive", "estimate", "gaussian_bits"]

UNIT = 1 << FRAC
LOG_RATIO = math.log(SCALE_MAX / SCALE_MIN) / (INDICES - 1)
TAIL = 5.0  # about where a table ends, in scales
LOG_ESCAPE = -16 * math.log(2)  # 14 bits for the escape, 2 + 2 log2 for its Exp-Golomb code
Shapes = dict[str, tuple[int, int, int]]


def gaussian_bits(residual: Tensor, index: Tensor) -> Tensor:
    """Bits of residuals (in steps) under Gaussians convolved with a unit box; differentiable.

    The escape is part of the density, so that no residual costs more than the coder would charge.
    """
    scale = SCALE_MIN * torch.exp(index * LOG_RATIO)
    inner = (0.5 - residual.abs()) / scale
    log_inner = torch.special.log_ndtr(inner)
    log_outer = torch.special.log_ndtr(inner - 1 / scale)
    gaussian = log_inner + torch.log1p(-torch.exp(log_outer - log_inner))
    excess = (residual.abs() - TAIL * scale).clamp_min(1)
    escape = LOG_ESCAPE - 2 * excess.log()
    return torch.logaddexp(gaussian, escape) / -math.log(2)


def drive(
    model: Model, shapes: Shapes, level: Tensor | int, answer: Callable[[Step], Tensor]
) -> dict[str, Tensor]:
    """Run the generator, collecting the dequantised latents (1/16 of a step) by name."""
    latents: dict[str, Tensor] = {}
    steps = model.steps(shapes, level)
    step = next(steps)
    while True:
        values = answer(step)
        if step.latent not in latents:
            full = torch.zeros((values.shape[0], *shapes[step.latent]), device=values.device)
            latents[step.latent] = full.contiguous(memory_format=torch.channels_last)
        target = latents[step.latent]
        target[:, step.channels] = put(target[:, step.channels], step.positions, values)
        try:
            step = steps.send(values)
        except StopIteration:
            return latents


def estimate(
    model: Model, latents: Latents, level: Tensor, *, noise: bool
) -> tuple[dict[str, Tensor], Tensor]:
    """Return dequantised latents (1/16 of a step) and bits per sample (B,); differentiable.

    `noise=True` takes the rate at uniformly perturbed values (Balle et al., 2017) while the
    values that go on are rounded straight through; `noise=False` takes it at rounded values.
    """
    bits: list[Tensor] = []

    def answer(step: Step) -> Tensor:
        value = take(latents[step.latent][:, step.channels], step.positions)
        value = value - step.mean / UNIT
        symbol = (value + 0.5).floor() * (step.index > 0)
        perturbed = value + torch.rand_like(value) - 0.5 if noise else symbol
        cost = gaussian_bits(perturbed, step.index)
        if not noise:
            cost = cost * (step.index > 0)
        bits.append(cost.flatten(1).sum(1))
        return (value + (symbol - value).detach()) * UNIT + step.mean

    shapes = {name: tuple(latent.shape[1:]) for name, latent in latents.items()}
    return drive(model, shapes, level, answer), torch.stack(bits).sum(0)  # type: ignore[arg-type]
