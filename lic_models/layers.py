"""Blocks shared by two or more models; float, on the pixel side of the codec."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .integer import level_lerp, odd
from .levels import ANCHORS

__all__ = [
    "CHAIN",
    "Attention",
    "Branch",
    "Gain",
    "LevelBias",
    "ResidualBottleneck",
    "Residuals",
    "coarser",
    "down",
    "up",
]

CHAIN = (5, 3, 3, 3)  # kernels of strided convolutions that ship, image first


def down(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """Convolution of stride 2; (B, C, H, W) to (B, C', H/2, W/2)."""
    return nn.Conv2d(inputs, outputs, odd(kernel), stride=2, padding=kernel // 2)


def up(inputs: int, outputs: int, kernel: int) -> nn.ConvTranspose2d:
    """Transposed convolution of stride 2; (B, C, H, W) to (B, C', 2H, 2W)."""
    return nn.ConvTranspose2d(
        inputs, outputs, odd(kernel), stride=2, padding=kernel // 2, output_padding=1
    )


def coarser(reach: int, kernel: int) -> int:
    """Samples of half the resolution around one that `reach` finer ones, convolved, depend on."""
    return -(-(reach + kernel // 2) // 2)


class Branch(nn.Module):
    """What a block adds to its input, through layers from `first` to `last`.

    Training starts `last` from zero, which makes the block the identity. The level enters twice: a
    bias moves the first threshold, a gain scales what is added. Without it one filter would have
    to suit quantisation noise that differs twentyfold between levels.
    """

    def __init__(self, first: nn.Conv2d, last: nn.Conv2d) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.bias = LevelBias(first.out_channels)
        self.gain = Gain(last.out_channels)

    # One image has one level, which then goes into the weights: no passes of its own over pixels.
    # Several take one pass each time, the layer's bias included.

    def enter(self, x: Tensor, level: Tensor) -> Tensor:
        """Apply `first` and the level's bias."""
        assert self.first.bias is not None
        bias = self.first.bias + level_lerp(self.bias.rows, level)
        if len(x) == 1:
            return _convolve(self.first, x, self.first.weight, bias[0])
        out = _convolve(self.first, x, self.first.weight)
        return out + bias[:, :, None, None].to(out.dtype)

    def leave(self, x: Tensor, level: Tensor) -> Tensor:
        """Apply `last` and the level's gain."""
        assert self.last.bias is not None
        gain = level_lerp(self.gain.log, level).exp()
        bias = self.last.bias * gain
        if len(x) == 1:
            weight = self.last.weight * gain[0, :, None, None, None]
            return _convolve(self.last, x, weight, bias[0])
        out = _convolve(self.last, x, self.last.weight)
        gain, bias = (t[:, :, None, None].to(out.dtype) for t in (gain, bias))
        return torch.addcmul(bias, out, gain)


def _convolve(like: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(x, weight, bias, like.stride, like.padding)


class ResidualBottleneck(Branch):
    """1x1, 3x3, 1x1 with half the channels inside, plus identity (He et al., ELIC, 2022)."""

    def __init__(self, channels: int) -> None:
        half = channels // 2
        super().__init__(nn.Conv2d(channels, half, 1), nn.Conv2d(half, channels, 1))
        self.middle = nn.Conv2d(half, half, 3, padding=1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        inside = F.relu(self.enter(x, level), inplace=True)
        inside = F.relu(self.middle(inside), inplace=True)
        return self.leave(inside, level).add_(x)


class Residuals(nn.Module):
    """A chain of residual bottlenecks."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBottleneck(channels) for _ in range(count))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, level)
        return x


class Attention(nn.Module):
    """Simplified attention: x + scale * trunk(x) * sigmoid(branch(x)) (Cheng et al., 2020).

    `scale` is per level and channel and starts at zero, which makes the block the identity.
    """

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.trunk = Residuals(channels, units)
        self.branch = Residuals(channels, units)
        self.mask = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(ANCHORS, channels))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        scale = level_lerp(self.scale, level)[:, :, None, None].to(x.dtype)
        mask = torch.sigmoid(self.mask(self.branch(x, level)))
        return torch.addcmul(x, scale * mask, self.trunk(x, level))


class Gain(nn.Module):
    """Per-channel factor that depends on the level (Cui et al., 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.zeros(ANCHORS, channels))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        factor = level_lerp(self.log, level).exp()[:, :, None, None]
        return x * factor.to(x.dtype)


class LevelBias(nn.Module):
    """Per-channel offset that depends on the level."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(ANCHORS, channels))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        return x + level_lerp(self.rows, level)[:, :, None, None].to(x.dtype)
