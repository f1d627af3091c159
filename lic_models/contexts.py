"""Coding orders of y that more than one model uses. Contexts see values and their magnitudes."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor, nn

from .base import Step
from .integer import IntConv2d, magnitude, saturate
from .positions import Neighbourhood, causal_offsets, checkerboard, put, take, wavefronts

__all__ = ["KERNEL", "TAPS", "evidence", "two_passes", "waves"]

KERNEL = 5  # of the causal context
TAPS = len(causal_offsets(KERNEL))


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
    size = channels.stop - channels.start
    group = torch.zeros_like(known[:, :1]).expand(-1, size, -1, -1)
    height, width = known.shape[2:]
    for half, positions in enumerate(checkerboard(height, width, known.device)):
        here = take(known, positions)
        if half:
            near = take(spatial(evidence(group), level), positions)
        else:  # anchors have no neighbours yet
            near = torch.zeros_like(here[:, :1]).expand(-1, spatial.weight.shape[0], -1, -1)
        mean, index = parameters(torch.cat([here, near], 1), level)
        values = yield Step("y", channels, positions, mean, index)
        group = put(group, positions, values)
    return group


def waves(
    channels: int,
    features: Tensor,
    context: IntConv2d,
    parameters: nn.Module,
    level: Any,
    known: Tensor | None,
) -> Generator[Step, Tensor, None]:
    """Code y position after position in raster order (Minnen et al., 2018), wave by wave.

    `context` is a 1x1 layer on the TAPS neighbours' evidence, which makes it a masked convolution.
    In training `known`, the dequantised y (B, M, H, W), stands in for what was decoded, and there
    is one step; otherwise there are W + 3 (H - 1), each of the positions whose neighbours are done.
    """
    batch, _, height, width = features.shape
    around = Neighbourhood(
        torch.Size((batch, 2 * channels, height, width)), causal_offsets(KERNEL), features.device
    )
    features = features.contiguous(memory_format=torch.channels_last)  # once, not at each `take`
    if known is not None:
        order = [torch.arange(height * width, device=features.device)]
        around.put(order[0], take(evidence(known), order[0]))
    else:
        order = wavefronts(height, width, KERNEL, features.device)
    for positions in order:
        near = context(around.around(positions), level)
        found = parameters(torch.cat([take(features, positions), near], 1), level)
        values = yield Step("y", slice(0, channels), positions, *found)
        if known is None:
            around.put(positions, evidence(values))
