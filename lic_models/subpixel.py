"""The residual transforms of Cheng et al., 2020: strided blocks, sub-pixel upsampling, attention.

g_a: x -> stride -> RB -> stride -> Attn -> RB -> stride -> RB -> conv s2 -> Attn -> y
g_s: y_hat -> Attn -> RB -> up -> RB -> up -> Attn -> RB -> up -> RB -> sub-pixel conv -> x_hat
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from .gdn import GDN
from .layers import Attention, Branch, down

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
        channels = (3, *widths, M)
        pairs = list(pairwise(channels))
        self.convs = nn.ModuleList(down(a, b, 3) for a, b in pairs)
        self.strides = nn.ModuleList(_Down(a, b) for a, b in pairs[:-1])
        self.blocks = nn.ModuleList(_Residual(n) for n in widths)
        self.attentions = nn.ModuleList((Attention(widths[1], units), Attention(M, units)))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for i, (stride, block) in enumerate(zip(self.strides, self.blocks, strict=True)):
            x = self.convs[i](x) + stride(x, level)
            if i == 1:
                x = self.attentions[0](x, level)
            x = block(x, level)
        out: Tensor = self.attentions[1](self.convs[-1](x), level)
        return out


class SubpixelSynthesis(nn.Module):
    """g_s: y_hat (B, M, H/16, W/16) to images (B, 3, H, W) centred on zero."""

    def __init__(self, widths: tuple[int, ...], M: int, *, units: int) -> None:
        super().__init__()
        channels = (M, *reversed(widths), 3)
        pairs = list(pairwise(channels))
        self.convs = nn.ModuleList(nn.Conv2d(a, 4 * b, 1) for a, b in pairs[:-1])
        self.convs.append(_conv3(pairs[-1][0], 4 * 3))
        self.ups = nn.ModuleList(_Up(a, b) for a, b in pairs[:-1])
        self.blocks = nn.ModuleList(_Residual(n) for n in channels[:-1])
        self.attentions = nn.ModuleList((Attention(M, units), Attention(widths[1], units)))

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = self.blocks[0](self.attentions[0](y_hat, level), level)
        for i, up in enumerate(self.ups):
            x = F.pixel_shuffle(self.convs[i](x), 2) + up(x, level)
            if i == 1:
                x = self.attentions[1](x, level)
            x = self.blocks[i + 1](x, level)
        return F.pixel_shuffle(self.convs[-1](x), 2)
