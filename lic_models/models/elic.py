"""ELIC: Efficient Learned Image Compression (He, Yang, Peng, Ma, Qin and Wang, CVPR 2022).

Uneven channel groups, each coded in two checkerboard passes:

    x --g_a--> y --gain--> round --------------------------------> y_hat --1/gain--> g_s --> x_hat
               |             ^ mean, scale                           |
               h_a           |                                       |
               |        aggregate <- spatial context  (anchors of this group)
               z        aggregate <- channel context  (groups before this one) <---+
               |             ^
               +--> round -> h_s

Everything from z_hat to mean and scale is integer arithmetic (`integer.py`); both transforms are
float. Differences from the paper: one set of weights covers all rates through gains and level
biases, the attention of g_s stands after the blocks of its size instead of before them, h_s
upsamples by sub-pixel convolution, contexts and h_a see magnitudes beside values, and z has a scale
per channel and level instead of a learned density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..base import Steps
from ..contexts import evidence, two_passes
from ..hyper import Hyperprior, HyperWidths
from ..integer import FULL, IntConv2d
from ..integer_blocks import IntStack, Parameters
from ..layers import CHAIN
from ..positions import checkerboard_taps
from ..registry import register
from ..residual import ResidualAnalysis, ResidualSynthesis

__all__ = ["Config", "Elic"]


@dataclass(frozen=True)
class Config(HyperWidths):
    """Widths; the defaults are those that ship.

    widths: channels after each of the first three strided convolutions. groups: channels of y
    coded together. kernels: of the strided convolutions, image first. blocks, units: residual
    bottlenecks per stage and per attention branch. context: of channel contexts; spatial: kernel
    and most channels of spatial contexts; hidden: the two hidden widths of the aggregation.
    """

    widths: tuple[int, int, int] = (32, 96, 192)
    groups: tuple[int, ...] = (16, 16, 32, 64, 192)
    kernels: tuple[int, int, int, int] = CHAIN
    blocks: int = 3
    units: int = 1
    features: int = 128
    context: int = 96
    spatial: tuple[int, int] = (5, 64)
    hidden: tuple[int, int] = (160, 96)


PAPER = Config(
    widths=(192, 192, 192),
    Z=192,
    kernels=(5, 5, 5, 5),
    units=3,
    hyper=192,
    features=384,
    context=224,
    spatial=(5, 384),
    hidden=(640, 512),
)
TOY = Config(
    widths=(12, 12, 16),
    M=16,
    Z=4,
    groups=(4, 12),
    kernels=(3, 3, 3, 3),
    blocks=1,
    hyper=8,
    features=12,
    context=8,
    spatial=(3, 8),
    hidden=(12, 12),
)


@register("elic", id=8)
class Elic(Hyperprior):
    """ELIC with one set of weights for every quality."""

    paper = "He et al., ELIC: Efficient Learned Image Compression with Unevenly Grouped "
    paper += "Space-Channel Contextual Adaptive Coding, CVPR 2022, arXiv:2203.10886"
    configs: ClassVar[dict[str, Any]] = {"shipped": Config(), "paper": PAPER, "toy": TOY}

    def __init__(self, config: Config) -> None:
        c = config
        options: dict[str, Any] = {"kernels": c.kernels, "blocks": c.blocks, "units": c.units}
        g_a = ResidualAnalysis(c.widths, c.M, **options)
        g_s = ResidualSynthesis(c.widths, c.M, **options)
        super().__init__(config, g_a, g_s)
        kernel, most = c.spatial
        near = [min(2 * g, most) for g in c.groups]
        before = [sum(c.groups[:k]) for k in range(len(c.groups))]
        self.channel = nn.ModuleList(
            IntStack((2 * b, c.context, c.context), kernel=3) for b in before[1:]
        )
        taps = checkerboard_taps(kernel)
        self.spatial = nn.ModuleList(
            IntConv2d(2 * g, s, kernel, lo=-FULL, mask=taps)
            for g, s in zip(c.groups, near, strict=True)
        )
        self.parameters_y = nn.ModuleList(
            Parameters(c.features + (c.context if k else 0) + s, c.hidden, g)
            for k, (g, s) in enumerate(zip(c.groups, near, strict=True))
        )

    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        done: list[Tensor] = []
        start = 0
        for k, size in enumerate(self.config.groups):
            context = features
            if k:
                before = self.channel[k - 1](torch.cat(done, 1), level)
                context = torch.cat([features, before], 1)
            channels = slice(start, start + size)
            spatial = self.spatial[k]
            assert isinstance(spatial, IntConv2d)
            group = yield from two_passes(channels, context, spatial, self.parameters_y[k], level)
            done.append(evidence(group))
            start += size
