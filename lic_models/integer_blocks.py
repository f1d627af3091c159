"""Networks of the entropy path, built from integer convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Mixture
from .integer import FULL, IntConv2d
from .mixtures import POWERS, WEIGHTS, powers
from .tables import INDICES

__all__ = ["IntStack", "MixtureParameters", "MixturePrior", "Parameters", "Prior", "Scales"]

MEAN_LIMIT = 32767  # 1/16 of a step
COMPONENTS = 3  # of mixtures (Cheng et al., 2020)
SPREAD = 8  # indices between their scales at the start


class IntStack(nn.Module):
    """A chain of integer convolutions with ReLU; the first `ups` of them double the size.

    Doubling is sub-pixel: four times the channels, then `pixel_shuffle`.
    """

    def __init__(self, widths: Sequence[int], *, kernel: int, ups: int = 0) -> None:
        super().__init__()
        self.ups = ups
        self.layers = nn.ModuleList(
            IntConv2d(a, b * (4 if i < ups else 1), kernel)
            for i, (a, b) in enumerate(pairwise(widths))
        )

    def forward(self, a: Tensor, level: Any) -> Tensor:
        for i, layer in enumerate(self.layers):
            a = layer(a, level)
            if i < self.ups:
                a = F.pixel_shuffle(a, 2)
        return a


def _mean_head(inputs: int, channels: int) -> IntConv2d:
    head = IntConv2d(inputs, channels, lo=-MEAN_LIMIT, hi=MEAN_LIMIT, inward=True)
    nn.init.zeros_(head.weight)
    return head


def _index_head(inputs: int, channels: int) -> IntConv2d:
    # two fractional bits: real weights move four indices per unit, which trains faster
    head = IntConv2d(inputs, channels, hi=INDICES - 1, frac_out=2, inward=True)
    nn.init.zeros_(head.weight)
    return head


def _start(head: IntConv2d, row: int, index: Tensor) -> None:
    with torch.no_grad():
        head.bias[row] = index / 2**head.frac_out


class Scales(nn.Module):
    """One 1x1 layer from contexts to index (B, G, H, W), for models without means."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.index = _index_head(inputs, channels)

    def start(self, row: int, index: Tensor) -> None:
        """Set the anchor level's indices (G,)."""
        _start(self.index, row, index)

    def forward(self, a: Tensor, level: Any) -> Tensor:
        index: Tensor = self.index(a, level)
        return index


class Parameters(nn.Module):
    """Three 1x1 layers from contexts to (mean, index), each (B, G, H, W)."""

    def __init__(self, inputs: int, hidden: Sequence[int], channels: int) -> None:
        super().__init__()
        self.mean = _mean_head(hidden[-1], channels)
        self.index = _index_head(hidden[-1], channels)
        self.body = IntStack((inputs, *hidden), kernel=1)

    def start(self, row: int, index: Tensor) -> None:
        """Set the anchor level's indices (G,)."""
        _start(self.index, row, index)

    def forward(self, a: Tensor, level: Any) -> tuple[Tensor, Tensor]:
        a = self.body(a, level)
        return self.mean(a, level), self.index(a, level)


def _shares(logit: Tensor) -> Tensor:
    """Integer weights (K, ...) that sum to WEIGHTS, from integers in 1/16 of a power of two.

    The rounding's remainder goes to the first of the largest.
    """
    top = logit.detach().amax(0)
    power = powers(logit.device)[(top - logit.detach()).clamp_max(POWERS - 1).long()]
    share = WEIGHTS * power // power.sum(0)
    rest = WEIGHTS - share.sum(0)
    first = torch.ones_like(top, dtype=torch.bool)
    whole = []
    for part, score in zip(share, logit.detach(), strict=True):
        here = first & (score == top)
        first = first & ~here
        whole.append(part + here * rest)
    exact = torch.stack(whole).to(logit.dtype)
    if not logit.requires_grad:
        return exact
    smooth = torch.softmax(logit * (math.log(2) / 16), 0) * WEIGHTS
    return smooth + (exact - smooth).detach()


def _blend(mean: Tensor, index: Tensor, logit: Tensor) -> tuple[Tensor, Tensor, Mixture]:
    """Turn outputs (B, K * G, H, W) into what a step takes: mean, index, mixture.

    The step's mean, from which symbols are counted, is that of the first heaviest component.
    """
    means, indices, logits = (
        torch.unflatten(t, 1, (COMPONENTS, -1)).movedim(1, 0) for t in (mean, index, logit)
    )
    pivot, top = means[0], logits[0]
    for other, score in zip(means[1:], logits[1:], strict=True):
        pivot = torch.where(score > top, other, pivot)
        top = torch.maximum(score, top)
    return pivot, indices.amax(0), Mixture(means - pivot, indices, _shares(logits))


class _Mixtures(nn.Module):
    """The three layers that end in a mixture for each of `channels`."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.mean = _mean_head(inputs, COMPONENTS * channels)
        self.index = _index_head(inputs, COMPONENTS * channels)
        self.logit = IntConv2d(inputs, COMPONENTS * channels, lo=-FULL, inward=True)
        nn.init.zeros_(self.logit.weight)

    @torch.no_grad()
    def start(self, row: int, index: Tensor) -> None:
        """Set the anchor level's indices (G,) of the bodies; the others are wider and narrower."""
        spread = torch.arange(COMPONENTS, device=index.device) - COMPONENTS // 2
        spread = spread[:, None] * SPREAD
        bias = (index + spread).clamp(0, INDICES - 1) / 2**self.index.frac_out
        self.index.bias[row] = bias.flatten()


class MixtureParameters(_Mixtures):
    """Three 1x1 layers from contexts to (mean, index, mixture) of G channels."""

    def __init__(self, inputs: int, hidden: Sequence[int], channels: int) -> None:
        super().__init__(hidden[-1], channels)
        self.body = IntStack((inputs, *hidden), kernel=1)

    def forward(self, a: Tensor, level: Any) -> tuple[Tensor, Tensor, Mixture]:
        a = self.body(a, level)
        return _blend(self.mean(a, level), self.index(a, level), self.logit(a, level))


class MixturePrior(_Mixtures):
    """A mixture per channel and level, the same at every position."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, shape: tuple[int, int, int], level: Any) -> tuple[Tensor, Tensor, Mixture]:
        nothing = _nothing(level, self.mean)
        heads = (self.mean, self.index, self.logit)
        mean, index, mixture = _blend(*(head(nothing, level) for head in heads))
        size = (len(nothing), *shape)
        parts = (t.expand(-1, *size) for t in (mixture.offset, mixture.index, mixture.weight))
        return mean.expand(size), index.expand(size), Mixture(*parts)


def _nothing(level: Any, layer: IntConv2d) -> Tensor:
    """The input of layers that depend on the level alone."""
    batch = level.shape[0] if isinstance(level, Tensor) else 1
    return layer.weight.new_zeros((batch, 1, 1, 1), dtype=torch.float32)


class Prior(nn.Module):
    """Mean and index per channel and level, the same at every position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = _mean_head(1, channels)
        self.index = _index_head(1, channels)

    def forward(self, shape: tuple[int, int, int], level: Any) -> tuple[Tensor, Tensor]:
        nothing = _nothing(level, self.mean)
        size = (len(nothing), *shape)
        return self.mean(nothing, level).expand(size), self.index(nothing, level).expand(size)
