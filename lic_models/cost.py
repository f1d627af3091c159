"""How much arithmetic a model takes: multiply-accumulates per pixel, counted while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .base import Model, Step
from .entropy import drive
from .gdn import GDN
from .integer import IntConv2d
from .levels import LEVEL_MAX

__all__ = ["Cost", "cost"]

SIDE = 128  # pixels; any multiple of the stride gives the same


class Cost(NamedTuple):
    """Thousands of multiply-accumulates per pixel; the entropy path is part of both."""

    encode: float
    decode: float


@contextmanager
def _counting(model: Model) -> Iterator[list[int]]:
    counts: list[int] = []

    def hook(layer: Any, args: Any, out: Tensor) -> None:
        if isinstance(layer, GDN):  # as one 1x1 convolution
            counts.append(layer.root.numel() * out.numel() // out.shape[1])
        else:
            grid = args[0] if isinstance(layer, nn.ConvTranspose2d) else out
            counts.append(layer.weight.numel() * grid.numel() // grid.shape[1])

    kinds = (nn.Conv2d, nn.ConvTranspose2d, IntConv2d, GDN)
    handles = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, kinds)]
    yield counts
    for handle in handles:
        handle.remove()


@torch.inference_mode()
def cost(model: Model) -> Cost:
    """Count what a frozen model computes for one image."""
    device = next(model.buffers(), torch.empty(0)).device
    level = torch.tensor([float(LEVEL_MAX)], device=device)
    shapes = model.shapes(SIDE, SIDE)

    def answer(step: Step) -> Tensor:
        return step.mean

    with _counting(model) as counts:
        y = model.analyse(torch.full((1, 3, SIDE, SIDE), 0.5, device=device), level)
        model.latents(y, level)
        analysis = sum(counts)
        counts.clear()
        latents = drive(model, shapes, LEVEL_MAX, answer)
        entropy = sum(counts)
        counts.clear()
        model.synthesise(latents["y"], level)
        synthesis = sum(counts)
    pixels = SIDE * SIDE * 1000
    return Cost((analysis + entropy) / pixels, (entropy + synthesis) / pixels)
