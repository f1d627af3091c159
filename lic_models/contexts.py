"""Coding orders of y that more than one model uses. Contexts see values and their magnitudes."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor, nn

from .base import Step
from .causal import Causal, Gathered
from .integer import IntConv2d, magnitude, saturate
from .positions import KERNEL, checkerboard, put, take, wavefronts
from .scattered import Scattered, scatters

__all__ = ["evidence", "two_passes", "waves"]


def evidence(group: Tensor) -> Tensor:
    """What contexts see of values (B, G, H, W): themselves and magnitudes (B, 2 G, H, W)."""
    values = saturate(group)
    return torch.cat([values, magnitude(values)], 1)


def two_passes(
    channels: slice, known: Tensor, spatial: IntConv2d, parameters: nn.Module, level: Any
) -> Generator[Step, Tensor, Tensor]:
    """Code a group of channels in two steps, one colour of the board each (He et al., 2021).

    The anchors know `known` (B, C, H, W) alone, the others also their neighbours through
    `spatial`, a convolution with `checkerboard_taps`. Returns the group's dequantised values.
    """
    anchors, others = checkerboard(*known.shape[2:], known.device)

    def step(positions: Tensor, near: Tensor) -> Step:
        seen = torch.cat([take(known, positions), near], 1)
        return Step("y", channels, positions, *parameters(seen, level))

    shape = known.shape[0], channels.stop - channels.start, *known.shape[2:]
    group = torch.zeros_like(known[:, :1]).expand(shape)
    alone = group.new_zeros(shape[0], len(spatial.weight), 1, len(anchors))
    values = yield step(anchors, alone)
    group = put(group, anchors, values)
    if scatters(spatial):
        sums = Scattered(spatial, level, known)
        sums.put(anchors, evidence(values))
        near = sums.at(others)
    else:
        near = take(spatial(evidence(group), level), others)
    return put(group, others, (yield step(others, near)))


def waves(
    channels: int,
    features: Tensor,
    context: Causal,
    parameters: nn.Module,
    level: Any,
    known: Tensor | None,
) -> Generator[Step, Tensor, None]:
    """Code y position after position in raster order (Minnen et al., 2018), wave by wave.

    In training `known`, the dequantised y (B, M, H, W), stands in for what was decoded, and there
    is one step; otherwise there are W + 3 (H - 1), each of the positions whose neighbours are done.
    """
    (height, width), device = features.shape[2:], features.device
    scattered = known is None and scatters(context)
    contexts = (Scattered if scattered else Gathered)(context, level, features)
    features = features.contiguous(memory_format=torch.channels_last)  # once, not at each `take`
    if known is not None:
        order = [torch.arange(height * width, device=device)]
        contexts.put(order[0], evidence(take(known, order[0])))
    else:
        order = wavefronts(height, width, KERNEL, device)
    for positions in order:
        found = parameters(torch.cat([take(features, positions), contexts.at(positions)], 1), level)
        values = yield Step("y", slice(0, channels), positions, *found)
        if known is None:
            contexts.put(positions, evidence(values))
