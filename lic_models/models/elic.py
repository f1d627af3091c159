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
biases, h_s upsamples by sub-pixel convolution, h_a sees asinh(y), and z has a Gaussian per
channel and level instead of a learned density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..base import Latents, Model, Step, Steps
from ..integer import FULL, IntConv2d, saturate
from ..integer_blocks import IntStack, Parameters, Prior
from ..layers import Gain, LevelBias
from ..positions import checkerboard, checkerboard_taps, put, take
from ..registry import register
from ..residual import ResidualAnalysis, ResidualSynthesis

__all__ = ["PAPER", "Config", "Elic"]


@dataclass(frozen=True)
class Config:
    """Widths; the defaults are those that ship.

    widths: channels after each of the first three strided convolutions; M: of y; Z: of z.
    groups: channels of y coded together. kernels: of the strided convolutions, image first.
    blocks, units: residual bottlenecks per stage and per attention branch.
    features: of h_s's output; context: of channel contexts; spatial: kernel and most
    channels of spatial contexts; hidden: the two hidden widths of the aggregation.
    """

    widths: tuple[int, int, int] = (32, 96, 192)
    M: int = 320
    Z: int = 96
    groups: tuple[int, ...] = (16, 16, 32, 64, 192)
    kernels: tuple[int, int, int, int] = (5, 3, 3, 3)
    blocks: int = 2
    units: int = 1
    hyper: int = 128
    features: int = 128
    context: int = 96
    spatial: tuple[int, int] = (5, 64)
    hidden: tuple[int, int] = (160, 96)


PAPER = Config(
    widths=(192, 192, 192),
    Z=192,
    kernels=(5, 5, 5, 5),
    blocks=3,
    units=3,
    hyper=192,
    features=384,
    context=224,
    spatial=(5, 384),
    hidden=(640, 512),
)


@register("elic", id=8)
class Elic(Model):
    """ELIC with one set of weights for every quality."""

    paper = "He et al., ELIC: Efficient Learned Image Compression with Unevenly Grouped "
    paper += "Space-Channel Contextual Adaptive Coding, CVPR 2022, arXiv:2203.10886"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        c = config
        options: dict[str, Any] = {"kernels": c.kernels, "blocks": c.blocks, "units": c.units}
        self.g_a = ResidualAnalysis(c.widths, c.M, **options)
        self.g_s = ResidualSynthesis(c.widths, c.M, **options)
        self.gain, self.inverse_gain = Gain(c.M), Gain(c.M)
        self.h_a_bias = LevelBias(c.hyper)
        self.h_a = nn.ModuleList(
            (
                nn.Conv2d(c.M, c.hyper, 3, padding=1),
                nn.Conv2d(c.hyper, c.hyper, 5, stride=2, padding=2),
                nn.Conv2d(c.hyper, c.Z, 5, stride=2, padding=2),
            )
        )
        self.prior_z = Prior(c.Z)
        self.h_s = IntStack((c.Z, c.hyper, c.hyper, c.features), kernel=3, ups=2)
        kernel, most = c.spatial
        spatial = [min(2 * g, most) for g in c.groups]
        self.near = spatial
        before = [sum(c.groups[:k]) for k in range(len(c.groups))]
        self.channel = nn.ModuleList(
            IntStack((b, c.context, c.context), kernel=3) for b in before[1:]
        )
        taps = checkerboard_taps(kernel)
        self.spatial = nn.ModuleList(
            IntConv2d(g, s, kernel, lo=-FULL, mask=taps)
            for g, s in zip(c.groups, spatial, strict=True)
        )
        self.parameters_y = nn.ModuleList(
            Parameters(c.features + (c.context if k else 0) + s, c.hidden, g)
            for k, (g, s) in enumerate(zip(c.groups, spatial, strict=True))
        )

    @classmethod
    def configure(cls, **values: Any) -> Config:
        return Config(**values)

    def analyse(self, x: Tensor, level: Tensor) -> Tensor:
        y: Tensor = self.gain(self.g_a(x - 0.5, level).float(), level)
        return y

    def latents(self, y: Tensor, level: Tensor) -> Latents:
        z = torch.relu(self.h_a_bias(self.h_a[0](torch.asinh(y)), level))
        z = self.h_a[2](torch.relu(self.h_a[1](z)))
        return {"z": z.float(), "y": y}

    def shapes(self, height: int, width: int) -> dict[str, tuple[int, int, int]]:
        c = self.config
        return {
            "z": (c.Z, height // 64, width // 64),
            "y": (c.M, height // 16, width // 16),
        }

    def steps(self, shapes: dict[str, tuple[int, int, int]], level: Any) -> Steps:
        z_hat = yield Step("z", slice(None), None, *self.prior_z(shapes["z"], level))
        features = self.h_s(saturate(z_hat), level)
        halves = checkerboard(*shapes["y"][1:], features.device)
        done: list[Tensor] = []
        start = 0
        for k, size in enumerate(self.config.groups):
            context = features
            if k:
                before = self.channel[k - 1](torch.cat(done, 1), level)
                context = torch.cat([features, before], 1)
            channels = slice(start, start + size)
            group = torch.zeros_like(features[:, :1]).expand(-1, size, -1, -1)
            for half, positions in enumerate(halves):
                known = take(context, positions)
                if half:
                    near = take(self.spatial[k](saturate(group), level), positions)
                else:  # anchors have no neighbours yet
                    near = torch.zeros_like(known[:, :1]).expand(-1, self.near[k], -1, -1)
                mean, index = self.parameters_y[k](torch.cat([known, near], 1), level)
                values = yield Step("y", channels, positions, mean, index)
                group = put(group, positions, values)
            done.append(saturate(group))
            start += size

    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        out: Tensor = self.g_s(self.inverse_gain(y_hat, level), level).float() + 0.5
        return out
