"""The transforms of HiFiC: plain convolutions, ReLU and normalisation over channels.

g_a: x -> conv 7x7 -> 4 x (conv s2) -> conv -> y
g_s: y_hat -> conv -> RB.. -> 4 x (deconv s2) -> conv 7x7 -> x_hat

Normalisation forgets how strong a signal is, so neither network can begin as a linear codec. Each
stands beside a linear chain, whose result it adds to.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Branch, down, up

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


class _Block(nn.Module):
    """RB: conv, norm, ReLU, conv, norm, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            ChannelNorm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            ChannelNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class _Encoder(Branch):
    def __init__(self, widths: tuple[int, ...], M: int) -> None:
        first = nn.Conv2d(3, widths[0], OUTER, padding=OUTER // 2)
        super().__init__(first, nn.Conv2d(widths[-1], M, 3, padding=1))
        self.norm = ChannelNorm(widths[0])
        self.downs = nn.ModuleList(
            nn.Sequential(down(a, b, 3), ChannelNorm(b), nn.ReLU(inplace=True))
            for a, b in pairwise(widths)
        )

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        x = F.relu(self.norm(self.enter(x, level)))
        for layer in self.downs:
            x = layer(x)
        return self.leave(x, level)


class _Generator(Branch):
    def __init__(self, widths: tuple[int, ...], M: int, blocks: int) -> None:
        first = nn.Conv2d(M, widths[-1], 3, padding=1)
        last = nn.Conv2d(widths[0], 3, OUTER, padding=OUTER // 2)
        super().__init__(first, last)
        self.before, self.after = ChannelNorm(M), ChannelNorm(widths[-1])
        self.blocks = nn.Sequential(*(_Block(widths[-1]) for _ in range(blocks)))
        self.ups = nn.ModuleList(
            nn.Sequential(up(a, b, 3), ChannelNorm(b), nn.ReLU(inplace=True))
            for a, b in pairwise(reversed(widths))
        )

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = self.after(self.enter(self.before(y_hat), level))
        x = x + self.blocks(x)
        for layer in self.ups:
            x = layer(x)
        return self.leave(x, level)


class NormAnalysis(nn.Module):
    """g_a: images (B, 3, H, W) centred on zero to y (B, M, H/16, W/16).

    widths: after the first layer and after each of the four of stride 2; chain: of the linear
    chain's first three stages.
    """

    def __init__(self, widths: tuple[int, ...], chain: tuple[int, ...], M: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(down(a, b, 3) for a, b in pairwise((3, *chain, M)))
        self.network = _Encoder(widths, M)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        y = x
        for conv in self.convs:
            y = conv(y)
        out: Tensor = y + self.network(x, level)
        return out


class NormSynthesis(nn.Module):
    """g_s: y_hat (B, M, H/16, W/16) to images (B, 3, H, W) centred on zero."""

    def __init__(
        self, widths: tuple[int, ...], chain: tuple[int, ...], M: int, *, blocks: int
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(up(a, b, 3) for a, b in pairwise((M, *reversed(chain), 3)))
        self.network = _Generator(widths, M, blocks)

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = y_hat
        for conv in self.convs:
            x = conv(x)
        out: Tensor = x + self.network(y_hat, level)
        return out
