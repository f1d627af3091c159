"""The residual transforms of Cheng et al., 2020: strided blocks, sub-pixel upsampling, attention.

g_a: x -> stride -> RB -> stride -> Attn -> RB -> stride -> RB -> gain -> conv s2 -> Attn -> y
g_s: y_hat -> Attn -> RB -> up -> gain -> RB -> up -> Attn -> RB -> up -> RB
           -> sub-pixel conv -> x_hat

The gain is that of ELIC (`residual.py`), and so are the sizes of the strided convolutions: the
linear chain through both networks can be taken over from there.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from .gdn import GDN
from .layers import CHAIN, Attention, Branch, Gain, coarser, down

__all__ = ["SubpixelAnalysis", "SubpixelSynthesis"]

SLOPE = 0.01


def _conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


class _Residual(Branch):
    """RB: two 3x3 convolutions, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__(_conv3(channels, channels), _conv3(channels, channels))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        inside = F.leaky_relu(self.enter(x, level), SLOPE)
        return x + F.leaky_relu(self.leave(inside, level), SLOPE)


class _Down(Branch):
    """Branch of a strided block: two 3x3 convolutions, the first of stride 2, and GDN."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(_conv3(inputs, outputs, 2), _conv3(outputs, outputs))
        self.norm = GDN(outputs)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        inside = F.leaky_relu(self.enter(x, level), SLOPE)
        out: Tensor = self.gain(self.norm(self.last(inside), level), level)
        return out


class _Up(Branch):
    """Branch of an upsampling block: a sub-pixel and a 3x3 convolution, and inverse GDN."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(_conv3(inputs, 4 * outputs), _conv3(outputs, outputs))
        self.norm = GDN(outputs, inverse=True)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        inside = F.pixel_shuffle(self.enter(x, level), 2)
        inside = self.last(F.leaky_relu(inside, SLOPE))
        out: Tensor = self.gain(self.norm(inside, level), level)
        return out


class SubpixelAnalysis(nn.Module):
    """g_a: images (B, 3, H, W) centred on zero to y (B, M, H/16, W/16).

    `convs` are the skips of the strided blocks and the last layer.
    """

    def __init__(self, widths: tuple[int, ...], M: int, *, units: int) -> None:
        super().__init__()
        pairs = list(pairwise((3, *widths, M)))
        self.convs = nn.ModuleList(down(a, b, k) for (a, b), k in zip(pairs, CHAIN, strict=True))
        self.strides = nn.ModuleList(_Down(a, b) for a, b in pairs[:-1])
        self.blocks = nn.ModuleList(_Residual(n) for n in widths)
        self.attentions = nn.ModuleDict(
            {"1": Attention(widths[1], units), "3": Attention(M, units)}
        )
        self.gain = Gain(widths[2])

    def stage(self, i: int, x: Tensor, level: Tensor) -> Tensor:
        """Apply what halves the size for the i-th time, and what follows it at that size."""
        if i == len(self.strides):
            y: Tensor = self.attentions["3"](self.convs[i](x), level)
            return y
        x = self.convs[i](x) + self.strides[i](x, level)
        if i == 1:
            x = self.attentions["1"](x, level)
        x = self.blocks[i](x, level)
        return self.gain(x, level) if i == 2 else x

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for i in range(len(self.convs)):
            x = self.stage(i, x, level)
        return x


class SubpixelSynthesis(nn.Module):
    """g_s: y_hat (B, M, H/16, W/16) to images (B, 3, H, W) centred on zero."""

    def __init__(self, widths: tuple[int, ...], M: int, *, units: int) -> None:
        super().__init__()
        channels = (M, *reversed(widths), 3)
        pairs = list(pairwise(channels))
        self.convs = nn.ModuleList(_conv3(a, 4 * b) for a, b in pairs)
        self.ups = nn.ModuleList(_Up(a, b) for a, b in pairs[:-1])
        self.blocks = nn.ModuleList(_Residual(n) for n in channels[:-1])
        self.attentions = nn.ModuleDict(
            {"0": Attention(M, units), "2": Attention(widths[1], units)}
        )
        self.gain = Gain(widths[2])
        self.units = units

    @property
    def reach(self) -> int:
        """Samples of y_hat around one that its pixels depend on."""
        reach = 1  # of the last layer; a block has two of 3x3
        for i in reversed(range(len(self.blocks))):
            reach += 2 + self.units * (i in (0, 2))
            reach = coarser(reach, 3) + 1 if i else reach
        return reach

    def stage(self, i: int, x: Tensor, level: Tensor) -> Tensor:
        """Apply what comes before the i-th doubling of the size, from the one before it on."""
        if i == 0:
            x = self.attentions["0"](x, level)
            y_hat: Tensor = self.blocks[0](x, level)
            return y_hat
        wide = F.pixel_shuffle(self.convs[i - 1](x), 2)
        if i == len(self.convs):
            return wide
        x = wide + self.ups[i - 1](x, level)
        if i == 1:
            x = self.gain(x, level)
        if i == 2:
            x = self.attentions["2"](x, level)
        out: Tensor = self.blocks[i](x, level)
        return out

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = y_hat
        for i in range(len(self.convs) + 1):
            x = self.stage(i, x, level)
        return x
