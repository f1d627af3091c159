"""The transforms of HiFiC: plain convolutions, ReLU and normalisation over channels.

g_a: x -> 4 x (conv s2) -> y
g_s: y_hat -> conv -> RB.. -> conv -> 4 x (sub-pixel conv) -> x_hat

Normalisation forgets how strong a signal is, so neither network can carry a picture by itself.
Every layer stands beside one of ELIC's transforms (`residual.py`) and adds to its result; that is
where training starts from. Without bottlenecks (`blocks` 0) what stands there is nearly linear.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Branch, coarser, down
from .residual import ResidualAnalysis, ResidualSynthesis

__all__ = ["ChannelNorm", "NormAnalysis", "NormSynthesis"]

EPSILON = 1e-3
OUTER = 7  # kernel next to the image


class ChannelNorm(nn.Module):
    """Zero mean and unit variance over channels at each position, then learned scale and shift."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        centred = wide - wide.mean(1, keepdim=True)
        variance = centred.square().sum(1, keepdim=True) / max(x.shape[1] - 1, 1)
        out = centred * (variance + EPSILON).rsqrt() * self.weight + self.shift
        return out.to(x.dtype)


class _Normed(Branch):
    """conv, norm, ReLU, conv."""

    def __init__(self, first: nn.Conv2d, last: nn.Conv2d) -> None:
        super().__init__(first, last)
        self.norm = ChannelNorm(last.in_channels)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        return self.leave(F.relu(self.norm(self.enter(x, level))), level)


class _Up(_Normed):
    """The same, between the two convolutions twice the size."""

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        inside = F.pixel_shuffle(self.enter(x, level), 2)
        return self.leave(F.relu(self.norm(inside)), level)


class _Block(nn.Module):
    """RB: conv, norm, ReLU, conv, norm, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels),
            ChannelNorm(channels),
            nn.ReLU(inplace=True),
            _conv(channels, channels),
            ChannelNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class _Head(Branch):
    """conv 1x1, norm, residual blocks around which there is an identity, conv 1x1.

    What it reaches, and what follows, is all that the halo allows with two blocks.
    """

    def __init__(self, M: int, blocks: int, inner: int) -> None:
        super().__init__(_conv(M, inner, 1), _conv(inner, M, 1))
        self.norm = ChannelNorm(inner)
        self.blocks = nn.Sequential(*(_Block(inner) for _ in range(blocks)))

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = self.norm(self.enter(y_hat, level))
        return self.leave(x + self.blocks(x), level)


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class NormAnalysis(ResidualAnalysis):
    """g_a: images (B, 3, H, W) centred on zero to y (B, M, H/16, W/16).

    beside: channels inside of what stands beside each stride, image first. Other arguments are
    those of `ResidualAnalysis`.
    """

    def __init__(
        self, widths: tuple[int, ...], M: int, *, beside: tuple[int, ...], **options: Any
    ) -> None:
        super().__init__(widths, M, **options)
        pairs = list(pairwise((3, *widths, M)))
        firsts = [_conv(3, beside[0], OUTER)]
        firsts += [down(a, n, 3) for (a, _), n in zip(pairs[1:], beside[1:], strict=True)]
        lasts = [down(beside[0], widths[0], 3)]
        lasts += [_conv(n, b) for (_, b), n in zip(pairs[1:], beside[1:], strict=True)]
        self.normed = nn.ModuleList(_Normed(a, b) for a, b in zip(firsts, lasts, strict=True))

    def stride(self, i: int, x: Tensor, level: Tensor) -> Tensor:
        added: Tensor = self.normed[i](x, level)
        return super().stride(i, x, level) + added


class NormSynthesis(ResidualSynthesis):
    """g_s: y_hat (B, M, H/16, W/16) to images (B, 3, H, W) centred on zero.

    beside: channels inside of what stands beside each stride, image first; head: residual blocks
    before the first of them, and their channels. Other arguments are those of `ResidualSynthesis`.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        M: int,
        *,
        beside: tuple[int, ...],
        head: tuple[int, int],
        **options: Any,
    ) -> None:
        super().__init__(widths, M, **options)
        pairs = pairwise((M, *reversed(widths), 3))
        kernels = ((1, 3), (3, 3), (3, 3), (3, OUTER))
        self.normed = nn.ModuleList(
            _Up(_conv(a, 4 * n, first), _conv(n, b, last))
            for (a, b), n, (first, last) in zip(pairs, reversed(beside), kernels, strict=True)
        )
        self.head = _Head(M, *head)

    def before(self, i: int, reach: int) -> int:
        up: Any = self.normed[i]
        first, last = up.first.kernel_size[0], up.last.kernel_size[0]
        added: int = coarser(reach, last) + first // 2
        return max(super().before(i, reach), added)

    def first(self, units: int) -> int:
        return max(super().first(units), 2 * len(self.head.blocks))  # a block has two of 3x3

    def begin(self, y_hat: Tensor, level: Tensor) -> Tensor:
        added: Tensor = self.head(y_hat, level)
        return super().begin(y_hat, level) + added

    def stride(self, i: int, x: Tensor, level: Tensor) -> Tensor:
        added: Tensor = self.normed[i](x, level)
        return super().stride(i, x, level) + added
