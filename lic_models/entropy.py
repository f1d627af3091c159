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

from .base import Latents, Mixture, Model, Step
from .integer import FRAC, round_ste
from .mixtures import WEIGHTS
from .positions import fill, take
from .tables import INDICES, SCALE_MAX, SCALE_MIN, TAIL, WIDE

__all__ = [
    "LOG_RATIO",
    "UNIT",
    "Shapes",
    "drive",
    "estimate",
    "index_bits",
    "mixture_bits",
    "nearest",
    "noisy",
]

UNIT = 1 << FRAC
LOG_RATIO = math.log(SCALE_MAX / SCALE_MIN) / (INDICES - 1)
MIXTURE_TAIL = 5.0  # as TAIL is for tables, of each Gaussian of a mixture
LOG_ESCAPE = -16 * math.log(2)  # 14 bits for the escape, 2 + 2 log2 for its Exp-Golomb code
LOG_RARE = -24 * math.log(2)  # the same for mixtures, whose letters all have one part of 2^24
TINY = 1e-37
PASSES = 2  # after which y is foreseen to a hundredth of the bits, by cheng2020 at quality 5
Shapes = dict[str, tuple[int, int, int]]
Rounding = Callable[[Tensor], tuple[Tensor, Tensor]]


def _scale(index: Tensor) -> Tensor:
    scale: Tensor = SCALE_MIN * torch.exp(index * LOG_RATIO)
    return scale


def _log_gaussian(residual: Tensor, scale: Tensor) -> Tensor:
    """Log density of residuals (in steps) under Gaussians convolved with a unit box.

    Both ends are on one side of the mean, where erfc is precise, or the difference is large; what
    no float32 holds is far below the escape. On a CPU log_ndtr takes three times as long.
    """
    near = (residual.abs() - 0.5) / scale * math.sqrt(0.5)
    density = (torch.erfc(near) - torch.erfc(near + math.sqrt(0.5) / scale)) / 2
    return density.clamp_min(TINY).log()


def _bits(log_density: Tensor, residual: Tensor, reach: Tensor, least: float) -> Tensor:
    """Bits, the escape being part of the density: nothing costs more than the coder charges."""
    escape = least - 2 * (residual.abs() - reach).clamp_min(1).log()
    return torch.logaddexp(log_density, escape) / -math.log(2)


def index_bits(residual: Tensor, index: Tensor) -> Tensor:
    """Bits of residuals (in steps) with scale indices, shaped alike; differentiable."""
    scale = _scale(index)
    share, ratio = WIDE
    narrow = _log_gaussian(residual, scale) + math.log(1 - share)
    wide = _log_gaussian(residual, scale * ratio) + math.log(share)
    return _bits(torch.logaddexp(narrow, wide), residual, TAIL * scale, LOG_ESCAPE)


def mixture_bits(residual: Tensor, mixture: Mixture) -> Tensor:
    """Bits of residuals (in steps) from a step's mean, under its mixture; differentiable."""
    scale = _scale(mixture.index)
    each = _log_gaussian(residual - mixture.offset / UNIT, scale)
    log_weight = (mixture.weight / WEIGHTS).clamp_min(1e-6).log()
    reach = (MIXTURE_TAIL * scale + mixture.offset.abs() / UNIT).amax(0)
    return _bits(torch.logsumexp(each + log_weight, 0), residual, reach, LOG_RARE)


def drive(
    model: Model,
    shapes: Shapes,
    level: Tensor | int,
    answer: Callable[[Step], Tensor],
    known: Tensor | None = None,
) -> dict[str, Tensor]:
    """Run the generator, collecting the dequantised latents (1/16 of a step) by name.

    A caller's autocast does not reach in: integers in fewer bits would be others.
    """
    latents: dict[str, Tensor] = {}
    with torch.autocast(next(model.parameters()).device.type, enabled=False):
        steps = model.steps(shapes, level, known)
        step = next(steps)
        while True:
            values = answer(step)
            if step.latent not in latents:
                full = values.new_zeros((values.shape[0], *shapes[step.latent]))
                latents[step.latent] = full.contiguous(memory_format=torch.channels_last)
            fill(latents[step.latent][:, step.channels], step.positions, values)
            try:
                step = steps.send(values)
            except StopIteration:
                return latents


def nearest(value: Tensor) -> tuple[Tensor, Tensor]:
    """What the encoder does: the rate is that of the value that goes on."""
    symbol = (value + 0.5).floor()
    return symbol, value + (symbol - value).detach()


def noisy(value: Tensor) -> tuple[Tensor, Tensor]:
    """For training (Balle et al., 2017): the rate is that of uniformly perturbed values."""
    return value + torch.rand_like(value) - 0.5, nearest(value)[1]


def estimate(
    model: Model, latents: Latents, level: Tensor, rounding: Rounding
) -> tuple[dict[str, Tensor], Tensor]:
    """Return dequantised latents (1/16 of a step) and bits per sample (B,); differentiable.

    `rounding` turns distances from the mean, in steps, into those that the rate is taken at and
    those that go on. Except with `nearest`, what is not coded (index 0) has a rate: there is a
    gradient that leads out of it; and models that are `sequential` get what y will decode to.
    """
    bits: list[Tensor] = []
    plain: list[tuple[Tensor, Tensor, Tensor]] = []  # without mixture: values, indices, live ones
    exact = rounding is nearest
    shapes = {name: tuple(latent.shape[1:]) for name, latent in latents.items()}
    known = None
    if model.sequential and not exact:
        known = _foreseen(model, latents, shapes, level)  # type: ignore[arg-type]

    def answer(step: Step) -> Tensor:
        value = take(latents[step.latent][:, step.channels], step.positions)
        rated, passed = rounding(value - step.mean / UNIT)
        live = step.index >= 0.5  # what rounds to 0 is not coded
        rated = rated * live if exact else rated
        if step.mixture is None:
            plain.append((rated.flatten(1), step.index.flatten(1), live.flatten(1)))
        else:
            cost = mixture_bits(rated, step.mixture)
            bits.append((cost * live if exact else cost).flatten(1).sum(1))
        passed = passed - (passed * ~live).detach()
        return round_ste(passed * UNIT) + step.mean

    found = drive(model, shapes, level, answer, known)  # type: ignore[arg-type]
    if plain:
        rated, index, live = (torch.cat(each, 1) for each in zip(*plain, strict=True))
        cost = index_bits(rated, index)  # once: a step alone is little work for a GPU
        bits.append((cost * live if exact else cost).sum(1))
    return found, torch.stack(bits).sum(0)


def _foreseen(model: Model, latents: Latents, shapes: Shapes, level: Tensor) -> Tensor:
    """y as it will be decoded, nearly, all positions at once; its gradient is that of y.

    Rounded y is not it: where nothing is coded, a decoder has the mean and no more. A model that
    sees y there learns to send what never arrives (cheng2020: 9 % of its bits at quality 5). So
    what is decoded when rounded y is the context becomes the context, and once more: each pass
    makes exact what is one position farther from the first, and all others nearly so.
    """

    def answer(step: Step) -> Tensor:
        value = take(latents[step.latent][:, step.channels], step.positions)
        symbol = nearest(value - step.mean / UNIT)[0] * (step.index >= 0.5)
        return symbol * UNIT + step.mean

    y = latents["y"]
    with torch.no_grad():
        known = nearest(y)[0] * UNIT
        for _ in range(PASSES):
            known = drive(model, shapes, level, answer, known)["y"]
    foreseen: Tensor = known + (y - y.detach()) * UNIT
    return foreseen
