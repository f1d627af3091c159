"""The transforms of the first learned codecs: strided 5x5 convolutions with GDN between them.

g_a: x -> conv s2 -> GDN -> conv s2 -> GDN -> conv s2 -> GDN -> conv s2 -> y
g_s: y_hat -> deconv s2 -> IGDN -> deconv s2 -> IGDN -> deconv s2 -> IGDN -> deconv s2 -> x_hat

One pair serves every model that is built on them; train it once and start the others from it.
"""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .integer import level_lerp
from .layers import coarser, down, up
from .levels import ANCHORS

__all__ = ["GDN", "GdnAnalysis", "GdnSynthesis"]

KERNEL = 5
SELF, OTHERS = 2e-3, 1e-5  # of gamma at the start: the identity, as far as pixels can tell


class GDN(nn.Module):
    """Generalised divisive normalisation (Balle, Laparra and Simoncelli, 2016).

    x / sqrt(beta + gamma x^2), channels mixed by gamma >= 0 at each position; the inverse
    multiplies. gamma is learned by its root, so that small ones stay small: what the two
    transforms do to each other is what the highest qualities see first. beta > 0 depends on the
    level: what counts as strong depends on the step.
    """

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        gamma = SELF * torch.eye(channels) + OTHERS
        self.root = nn.Parameter(gamma.sqrt()[:, :, None, None].clone())
        self.log = nn.Parameter(torch.zeros(ANCHORS, channels))  # of beta

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        beta = level_lerp(self.log, level).exp()[:, :, None, None]
        norm = F.conv2d(x.square(), self.root.square()).float() + beta
        factor = norm.sqrt() if self.inverse else norm.rsqrt()
        return x * factor.to(x.dtype)


class GdnAnalysis(nn.Module):
    """g_a: images (B, 3, H, W) centred on zero to y (B, M, H/16, W/16)."""

    def __init__(self, N: int, M: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(down(a, b, KERNEL) for a, b in ((3, N), (N, N), (N, N), (N, M)))
        self.norms = nn.ModuleList(GDN(N) for _ in range(3))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=False):
            x = norm(conv(x), level)
        out: Tensor = self.convs[-1](x)
        return out


class GdnSynthesis(nn.Module):
    """g_s: y_hat (B, M, H/16, W/16) to images (B, 3, H, W) centred on zero."""

    def __init__(self, N: int, M: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(up(a, b, KERNEL) for a, b in ((M, N), (N, N), (N, N), (N, 3)))
        self.norms = nn.ModuleList(GDN(N, inverse=True) for _ in range(3))

    @property
    def reach(self) -> int:
        """Samples of y_hat around one that its pixels depend on."""
        return reduce(coarser, [KERNEL] * len(self.convs), 0)

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        x = y_hat
        for conv, norm in zip(self.convs, self.norms, strict=False):
            x = norm(conv(x), level)
        out: Tensor = self.convs[-1](x)
        return out
