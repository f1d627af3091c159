"""Blocks shared by two or more models; float, on the pixel side of the codec."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .integer import level_lerp
from .levels import ANCHORS

__all__ = ["Attention", "Gain", "LevelBias", "ResidualBottleneck", "down", "up"]


def down(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """Convolution of stride 2; (B, C, H, W) to (B, C', H/2, W/2)."""
    return nn.Conv2d(inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2)


def up(inputs: int, outputs: int, kernel: int) -> nn.ConvTranspose2d:
    """Transposed convolution of stride 2; (B, C, H, W) to (B, C', 2H, 2W)."""
    return nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2
    )


class ResidualBottleneck(nn.Module):
    """1x1, 3x3, 1x1 with half the channels inside, plus identity (He et al., ELIC, 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            nn.Conv2d(channels, half, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, channels, 1),
        )

    @property
    def last(self) -> nn.Conv2d:
        """The layer that training starts from zero, which makes the block the identity."""
        layer = self.body[-1]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class Attention(nn.Module):
    """Simplified attention: x + scale * trunk(x) * sigmoid(branch(x)) (Cheng et al., 2020).

    `scale` is per channel and starts at zero, which makes the block the identity.
    """

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*(ResidualBottleneck(channels) for _ in range(units)))
        self.branch = nn.Sequential(
            *(ResidualBottleneck(channels) for _ in range(units)), nn.Conv2d(channels, channels, 1)
        )
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.scale.to(x.dtype) * self.trunk(x) * torch.sigmoid(self.branch(x))
        return out


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
