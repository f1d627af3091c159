"""The causal context of autoregressive models (Minnen et al., 2018): a masked convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .integer import FULL, IntConv2d
from .positions import KERNEL, Neighbourhood, causal_offsets

__all__ = ["Causal", "Gathered"]


class Causal(IntConv2d):
    """A masked convolution as a 1x1 layer on the neighbours of positions, tap by tap.

    Args: channels: of what is seen at a position. outputs: channels of the context.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__(len(causal_offsets(KERNEL)) * channels, outputs, lo=-FULL)

    def taps(self) -> tuple[list[tuple[int, int]], Tensor]:
        assert self.frozen is not None
        offsets = causal_offsets(KERNEL)
        parts = torch.unflatten(self.frozen[0], 1, (len(offsets), -1))
        return offsets, parts.flatten(2).movedim(0, 1)


class Gathered:
    """Contexts from the values around positions, in training too.

    Args: layer: of which they are. level: as the layer takes it. like: (B, any, H, W).
    """

    def __init__(self, layer: Causal, level: Any, like: Tensor) -> None:
        self.layer, self.level = layer, level
        offsets = causal_offsets(KERNEL)
        channels = layer.weight.shape[1] // len(offsets)
        shape = torch.Size((len(like), channels, *like.shape[2:]))
        self.seen = Neighbourhood(shape, offsets, like.device)

    def put(self, positions: Tensor, values: Tensor) -> None:
        """Take notice of (B, C, 1, N)."""
        self.seen.put(positions, values)

    def at(self, positions: Tensor) -> Tensor:
        """Return the context (B, O, 1, N)."""
        found: Tensor = self.layer(self.seen.around(positions), self.level)
        return found
