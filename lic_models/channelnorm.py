"""The transforms of HiFiC: plain convolutions, ReLU and normalisation over channels.

g_a: x -> 4 x (conv s2) -> y
g_s: y_hat -> conv -> RB.. -> conv -> 4 x (sub-pixel conv) -> x_hat

Normalisation forgets how strong a signal is, so neither network can begin as a linear codec. Every
layer of stride 2 stands beside a linear one, whose result it adds to. The sizes of these are
ELIC's (`residual.py`), so that the linear chain through both can be taken over from there.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import CHAIN, Branch, Gain, down, up

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
    """conv, norm, residual blocks around which there is an identity, conv 1x1.

    What it reaches, and what follows, is all that the halo allows with two blocks.
    """

    def __init__(self, M: int, inner: int, blocks: int) -> None:
        super().__init__(_conv(M, inner), _conv(inner, M, 1))
        self.norm = ChannelNorm(inner)
        self.blocks = nn.Sequential(*(_Block(inner) for _ in range(blocks)))

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = self.norm(self.enter(y_hat, level))
        return self.leave(x + self.blocks(x), level)


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class NormAnalysis(nn.Module):
    """g_a: images (B, 3, H, W) centred on zero to y (B, M, H/16, W/16).

    chain: channels after each of the first three strides; widths: inside of what stands beside
    each stride, image first.
    """

    def __init__(self, widths: tuple[int, ...], chain: tuple[int, ...], M: int) -> None:
        super().__init__()
        pairs = list(pairwise((3, *chain, M)))
        self.convs = nn.ModuleList(down(a, b, k) for (a, b), k in zip(pairs, CHAIN, strict=True))
        firsts = [_conv(3, widths[0], OUTER)]
        firsts += [down(a, n, 3) for (a, _), n in zip(pairs[1:], widths[1:], strict=True)]
        lasts = [down(widths[0], chain[0], 3)]
        lasts += [_conv(n, b) for (_, b), n in zip(pairs[1:], widths[1:], strict=True)]
        self.normed = nn.ModuleList(_Normed(a, b) for a, b in zip(firsts, lasts, strict=True))
        self.gain = Gain(chain[2])

    def stage(self, i: int, x: Tensor, level: Tensor) -> Tensor:
        """Apply what halves the size for the i-th time."""
        y: Tensor = self.convs[i](x) + self.normed[i](x, level)
        return self.gain(y, level) if i == 2 else y

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for i in range(len(self.convs)):
            x = self.stage(i, x, level)
        return x


class NormSynthesis(nn.Module):
    """g_s: y_hat (B, M, H/16, W/16) to images (B, 3, H, W) centred on zero.

    blocks: residual blocks before the first stride; inner: channels of them.
    """

    def __init__(
        self, widths: tuple[int, ...], chain: tuple[int, ...], M: int, *, blocks: int, inner: int
    ) -> None:
        super().__init__()
        pairs = list(pairwise((M, *reversed(chain), 3)))
        kernels = list(reversed(CHAIN))
        self.convs = nn.ModuleList(up(a, b, k) for (a, b), k in zip(pairs, kernels, strict=True))
        inside = list(reversed(widths))
        sizes = (3, 3, 3, OUTER)
        self.normed = nn.ModuleList(
            _Up(_conv(a, 4 * n), _conv(n, b, k))
            for (a, b), n, k in zip(pairs, inside, sizes, strict=True)
        )
        self.head = _Head(M, inner, blocks)
        self.gain = Gain(chain[2])

    def stage(self, i: int, x: Tensor, level: Tensor) -> Tensor:
        """Apply what doubles the size for the i-th time; 0: what comes before."""
        if i == 0:
            known: Tensor = x + self.head(x, level)
            return known
        out: Tensor = self.convs[i - 1](x) + self.normed[i - 1](x, level)
        return self.gain(out, level) if i == 1 else out

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = y_hat
        for i in range(len(self.convs) + 1):
            x = self.stage(i, x, level)
        return x
