"""Networks of the entropy path, built from integer convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .integer import IntConv2d
from .tables import INDICES

__all__ = ["IntStack", "Parameters", "Prior"]

MEAN_LIMIT = 32767  # 1/16 of a step


class IntStack(nn.Module):
    """A chain of integer convolutions with ReLU; the first `ups` of them double the size.

    Doubling is sub-pixel: four times the channels, then `pixel_shuffle`.
    """

    def __init__(self, widths: Sequence[int], *, kernel: int, ups: int = 0) -> None:
        super().__init__()
        self.ups = ups
        self.layers = nn.ModuleList(
            IntConv2d(a, b * (4 if i < ups else 1), kernel)
            for i, (a, b) in enumerate(pairwise(widths))
        )

    def forward(self, a: Tensor, level: Any) -> Tensor:
        for i, layer in enumerate(self.layers):
            a = layer(a, level)
            if i < self.ups:
                a = F.pixel_shuffle(a, 2)
        return a


class _Heads(nn.Module):
    """The two layers that end in a mean (1/16 of a step) and a scale index."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.mean = IntConv2d(inputs, channels, lo=-MEAN_LIMIT, hi=MEAN_LIMIT, inward=True)
        # two fractional bits: real weights move four indices per unit, which trains faster
        self.index = IntConv2d(inputs, channels, hi=INDICES - 1, frac_out=2, inward=True)
        for layer in (self.mean, self.index):
            nn.init.zeros_(layer.weight)


class Parameters(_Heads):
    """Three 1x1 layers from contexts to (mean, index), each (B, G, H, W)."""

    def __init__(self, inputs: int, hidden: Sequence[int], channels: int) -> None:
        super().__init__(hidden[-1], channels)
        self.body = IntStack((inputs, *hidden), kernel=1)

    def forward(self, a: Tensor, level: Any) -> tuple[Tensor, Tensor]:
        a = self.body(a, level)
        return self.mean(a, level), self.index(a, level)


class Prior(_Heads):
    """Mean and index per channel and level, the same at every position."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, shape: tuple[int, int, int], level: Any) -> tuple[Tensor, Tensor]:
        batch = level.shape[0] if isinstance(level, Tensor) else 1
        nothing = self.mean.weight.new_zeros((batch, 1, 1, 1), dtype=torch.float32)
        size = (batch, *shape)
        return self.mean(nothing, level).expand(size), self.index(nothing, level).expand(size)
