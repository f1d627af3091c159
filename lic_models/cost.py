"""How much arithmetic a model takes: multiply-accumulates per pixel, counted while it runs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .base import Model, Step
from .entropy import drive
from .levels import LEVEL_MAX

__all__ = ["Cost", "cost"]

SIDE = 128  # pixels; any multiple of the stride gives the same


class Cost(NamedTuple):
    """Thousands of multiply-accumulates per pixel; the entropy path is part of both."""

    encode: float
    decode: float


@torch.enable_grad()  # for which layers are computed as a whole, however many zeros they meet
def cost(model: Model) -> Cost:
    """Count what a frozen model computes for one image."""
    device = next(model.parameters()).device
    level = torch.tensor([float(LEVEL_MAX)], device=device)
    shapes = model.shapes(SIDE, SIDE)

    def answer(step: Step) -> Tensor:
        return step.mean

    with FlopCounterMode(display=False) as analysis:
        y = model.analyse(torch.full((1, 3, SIDE, SIDE), 0.5, device=device), level)
        model.latents(y, level)
    with FlopCounterMode(display=False) as entropy:
        latents = drive(model, shapes, LEVEL_MAX, answer)
    with FlopCounterMode(display=False) as synthesis:
        model.synthesise(latents["y"], level)
    both = [entropy.get_total_flops() + side.get_total_flops() for side in (analysis, synthesis)]
    encode, decode = (flops / 2 / (SIDE * SIDE * 1000) for flops in both)  # two to a multiply-add
    return Cost(encode, decode)
