"""Contexts from sums: what is decoded adds its part to the positions that will see it.

A convolution of the whole latent computes every position from every tap. A coding order asks for
less: half of a checkerboard from the other half, or one wave of positions at a time, from taps
that are not masked; and most of what is decoded is zero. The integers are the same.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .integer import IntConv2d, exact_dtype
from .positions import Neighbourhood

__all__ = ["Scattered", "scatters"]

AT_ONCE = 4096  # positions; what one adds to others has a few KB
SPARSE = 0.4  # share of values up to which adding up rows is faster than a matrix product


def scatters(layer: IntConv2d) -> bool:
    """Whether `Scattered` serves a layer, which must be frozen, and no gradient is asked for."""
    return layer.frozen is not None and not torch.is_grad_enabled()


class Scattered:
    """The outputs of a frozen layer at some positions, from values at others.

    Args: layer: with or without a mask. level: of the outputs. like: (B, any, H, W).
    """

    def __init__(self, layer: IntConv2d, level: Any, like: Tensor) -> None:
        self.layer, self.level = layer, int(level)
        offsets, self.weight = layer.onward()
        shape = torch.Size((len(like), len(layer.weight), *like.shape[2:]))
        self.sums = Neighbourhood(shape, offsets, like.device, self.weight.dtype)

    def put(self, positions: Tensor, values: Tensor) -> None:
        """Take notice of (B, C, 1, N)."""
        rows = values.squeeze(2).transpose(1, 2)
        split = torch.split(positions, AT_ONCE), torch.split(rows, AT_ONCE, 1)
        for some, seen in zip(*split, strict=True):
            parts = _product(seen.flatten(0, 1), self.weight)
            self.sums.add(some, parts.view(*seen.shape[:2], -1))

    def at(self, positions: Tensor) -> Tensor:
        """Return the outputs (B, O, 1, N), as far as values are known."""
        return self.layer.from_sums(self.sums.at(positions), self.level)


def _product(a: Tensor, weight: Tensor) -> Tensor:
    """Return the exact product of integers (N, C) and (C, K)."""
    if a.device.type == "cpu":
        row, column = a.nonzero(as_tuple=True)
        if len(row) <= SPARSE * a.numel():
            starts = torch.searchsorted(row, torch.arange(len(a), device=a.device))
            values = a[row, column].to(weight.dtype)
            return F.embedding_bag(column, weight, starts, mode="sum", per_sample_weights=values)
    dtype = exact_dtype(weight)
    return (a.to(dtype) @ weight.to(dtype)).to(weight.dtype)
