"""Channel-wise autoregression (Minnen and Singh, ICIP 2020).

    x --g_a--> y --gain--> round ------------------> y_hat --+ residual--1/gain--> g_s --> x_hat
               |             ^ mean, scale             |     ^
               h_a           |                         |     |
               |        parameters <-- earlier slices --+---> lrp
               z             ^
               +--> round -> h_s

y is cut into slices of channels; each is coded whole, knowing z and the slices before it. Latent
residual prediction guesses what rounding took away; it feeds the synthesis only, so it may be
float: contexts see y_hat as coded. Differences from the paper: one set of weights covers all rates
through gains and level biases, GDN's offset depends on the level, h_s upsamples by 3x3 sub-pixel
convolutions, one network gives mean and scale, contexts and h_a see magnitudes beside values,
residual prediction sees asinh of slices and no features of z, which has a scale per channel and
level instead of a learned density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..base import Step, Steps
from ..contexts import evidence
from ..gdn import GdnAnalysis, GdnSynthesis
from ..hyper import GdnWidths, Hyperprior
from ..integer_blocks import IntStack, Parameters
from ..registry import register

__all__ = ["Config", "Minnen2020"]


@dataclass(frozen=True)
class Config(GdnWidths):
    """Widths of the slices' networks too.

    slices: how many, of equal size; support: earlier slices that a slice knows, at most.
    context: width of the channel context; hidden: of the parameter network; lrp: of the residual
    prediction.
    """

    slices: int = 8
    support: int = 5
    context: int = 96
    hidden: tuple[int, int] = (160, 96)
    lrp: int = 64

    @property
    def groups(self) -> tuple[int, ...]:
        return (self.M // self.slices,) * self.slices


PAPER = Config(  # twice the widths where one network stands for the paper's two
    N=192, M=320, Z=192, hyper=256, features=640, slices=10, context=448, hidden=(256, 256), lrp=224
)
TOY = Config(N=12, M=16, Z=4, hyper=8, features=12, slices=4, context=8, hidden=(12, 12), lrp=8)


def _residual(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Return a network that predicts nothing yet."""
    last = nn.Conv2d(hidden, outputs, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    first = nn.Conv2d(inputs, hidden, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(inplace=True), last)


@register("minnen2020", id=5)
class Minnen2020(Hyperprior):
    """Slices of channels, coded one after another."""

    paper = "Minnen and Singh, Channel-wise Autoregressive Entropy Models for Learned Image "
    paper += "Compression, ICIP 2020, arXiv:2007.08739"
    configs: ClassVar[dict[str, Any]] = {"shipped": Config(), "paper": PAPER, "toy": TOY}

    def __init__(self, config: Config) -> None:
        c = config
        super().__init__(config, GdnAnalysis(c.N, c.M), GdnSynthesis(c.N, c.M))
        known = [min(k, c.support) for k in range(c.slices)]
        self.channel = nn.ModuleList(
            IntStack((2 * n * c.groups[0], c.context, c.context), kernel=3) for n in known[1:]
        )
        self.parameters_y = nn.ModuleList(
            Parameters(c.features + (c.context if n else 0), c.hidden, g)
            for n, g in zip(known, c.groups, strict=True)
        )
        self.lrp = nn.ModuleList(
            _residual((n + 1) * g, c.lrp, g) for n, g in zip(known, c.groups, strict=True)
        )

    @property
    def reach(self) -> int:
        return super().reach + 2  # residual prediction has two layers of 3x3

    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        done: list[Tensor] = []
        start = 0
        for k, size in enumerate(self.config.groups):
            context = features
            if k:
                before = torch.cat(done[: self.config.support], 1)
                context = torch.cat([features, self.channel[k - 1](before, level)], 1)
            mean, index = self.parameters_y[k](context, level)
            values = yield Step("y", slice(start, start + size), None, mean, index)
            done.append(evidence(values))
            start += size

    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        slices = torch.split(torch.asinh(y_hat), self.config.groups, 1)
        residuals = []
        for k, (part, lrp) in enumerate(zip(slices, self.lrp, strict=True)):
            support = [*slices[: min(k, self.config.support)], part]
            residuals.append(0.5 * torch.tanh(lrp(torch.cat(support, 1)).float()))
        return super().synthesise(y_hat + torch.cat(residuals, 1), level)
