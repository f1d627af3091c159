"""The residual transforms of ELIC: strided convolutions, bottlenecks, attention.

g_a: x  -> conv s2 -> RB.. -> conv s2 -> RB.. -> Attn -> conv s2 -> RB.. -> gain
        -> conv s2 -> Attn -> y
g_s: y_hat -> Attn -> deconv s2 -> gain -> RB.. -> deconv s2 -> RB.. -> Attn
        -> deconv s2 -> RB.. -> deconv s2 -> x_hat
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .layers import Attention, Gain, Residuals, coarser, down, up

__all__ = ["ResidualAnalysis", "ResidualSynthesis"]


class ResidualAnalysis(nn.Module):
    """g_a: images (B, 3, H, W) centred on zero to y (B, M, H/16, W/16)."""

    def __init__(
        self, widths: tuple[int, ...], M: int, *, kernels: tuple[int, ...], blocks: int, units: int
    ) -> None:
        super().__init__()
        channels = (3, *widths, M)
        self.convs = nn.ModuleList(
            down(a, b, k) for a, b, k in zip(channels[:-1], channels[1:], kernels, strict=True)
        )
        self.blocks = nn.ModuleList(Residuals(n, blocks) for n in widths)
        self.attentions = nn.ModuleDict(
            {"1": Attention(widths[1], units), "3": Attention(M, units)}
        )
        self.gain = Gain(widths[2])

    def stride(self, i: int, x: Tensor, level: Tensor) -> Tensor:
        """Halve the size for the i-th time; subclasses may add to it."""
        out: Tensor = self.convs[i](x)
        return out

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for i in range(len(self.convs)):
            x = self.stride(i, x, level)
            if i < len(self.blocks):
                x = self.blocks[i](x, level)
            if str(i) in self.attentions:
                x = self.attentions[str(i)](x, level)
            if i == 2:
                x = self.gain(x, level)
        return x


class ResidualSynthesis(nn.Module):
    """g_s: y_hat (B, M, H/16, W/16) to images (B, 3, H, W) centred on zero."""

    def __init__(
        self, widths: tuple[int, ...], M: int, *, kernels: tuple[int, ...], blocks: int, units: int
    ) -> None:
        super().__init__()
        channels = (M, *reversed(widths), 3)
        self.convs = nn.ModuleList(
            up(a, b, k)
            for a, b, k in zip(channels[:-1], channels[1:], reversed(kernels), strict=True)
        )
        self.blocks = nn.ModuleList(Residuals(n, blocks) for n in reversed(widths))
        self.attentions = nn.ModuleDict(
            {"0": Attention(M, units), "2": Attention(widths[1], units)}
        )
        self.gain = Gain(widths[2])
        self.depths = blocks, units

    @property
    def reach(self) -> int:
        """Samples of y_hat around one that its pixels depend on."""
        blocks, units = self.depths
        reach = 0
        for i in reversed(range(len(self.convs))):
            reach = self.before(i, reach) + blocks * (i > 0) + units * (i == 2)
        return reach + self.first(units)

    def before(self, i: int, reach: int) -> int:
        """What `reach` samples depend on before the size is doubled; subclasses may add to it."""
        conv: Any = self.convs[i]
        return coarser(reach, conv.kernel_size[0])

    def first(self, units: int) -> int:
        """What `begin` looks at; subclasses may add to it."""
        return units

    def begin(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """Apply what comes before the size is doubled; subclasses may add to it."""
        out: Tensor = self.attentions["0"](y_hat, level)
        return out

    def stride(self, i: int, x: Tensor, level: Tensor) -> Tensor:
        """Double the size for the i-th time; subclasses may add to it."""
        out: Tensor = self.convs[i](x)
        return out

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = self.begin(y_hat, level)
        for i in range(len(self.convs)):
            if i == 2:
                x = self.attentions["2"](x, level)
            x = self.stride(i, x, level)
            if i == 0:
                x = self.gain(x, level)
            if i < len(self.blocks):
                x = self.blocks[i](x, level)
        return x
