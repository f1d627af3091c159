"""Gaussian mixtures and attention (Cheng, Sun, Takeuchi and Katto, CVPR 2020).

    x --g_a--> y --gain--> round ----------------------> y_hat --1/gain--> g_s --> x_hat
               |             ^ mixture                     |
               h_a           |                             |
               |        parameters <-- masked 5x5 context <+
               z             ^
               +--> round -> h_s

Residual transforms with attention and sub-pixel upsampling; the density of each y is a mixture of
three Gaussians, made of z and the positions before it, as integer tables. Differences from the
paper: one set of weights covers all rates through gains and level biases, the skips of strided and
upsampling blocks are 3x3 (5x5 next to the image in g_a) instead of 1x1, contexts and h_a see
magnitudes beside values, h_s has fewer layers, parameter networks have ReLU instead of leaky ReLU,
and z has a scale per channel and level instead of a learned density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ..base import Steps
from ..causal import Causal
from ..contexts import waves
from ..hyper import Hyperprior, HyperWidths
from ..integer_blocks import MixtureParameters
from ..registry import register
from ..subpixel import SubpixelAnalysis, SubpixelSynthesis

__all__ = ["Cheng2020", "Config"]


@dataclass(frozen=True)
class Config(HyperWidths):
    """Widths of the transforms and the context.

    widths: channels after each of the first three strides; units: residual bottlenecks per
    attention branch; context: channels of the masked context; hidden: of the parameter network.
    """

    widths: tuple[int, int, int] = (32, 96, 192)
    units: int = 1
    context: int = 192
    hidden: tuple[int, int] = (256, 192)


PAPER = Config(
    widths=(192, 192, 192),
    M=192,
    Z=192,
    units=3,
    hyper=192,
    features=384,
    context=384,
    hidden=(640, 512),
)
TOY = Config(widths=(12, 12, 16), M=16, Z=4, hyper=8, features=12, context=8, hidden=(12, 12))


@register("cheng2020", id=4)
class Cheng2020(Hyperprior):
    """Residual transforms, attention, and a mixture of three Gaussians per sample."""

    paper = "Cheng et al., Learned Image Compression with Discretized Gaussian Mixture "
    paper += "Likelihoods and Attention Modules, CVPR 2020, arXiv:2001.01568"
    configs: ClassVar[dict[str, Any]] = {"shipped": Config(), "paper": PAPER, "toy": TOY}
    sequential = True

    def __init__(self, config: Config) -> None:
        c = config
        g_a = SubpixelAnalysis(c.widths, c.M, units=c.units)
        g_s = SubpixelSynthesis(c.widths, c.M, units=c.units)
        super().__init__(config, g_a, g_s)
        self.context = Causal(2 * c.M, c.context)
        heads = MixtureParameters(c.features + c.context, c.hidden, c.M)
        self.parameters_y = nn.ModuleList([heads])

    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        yield from waves(self.config.M, features, self.context, self.parameters_y[0], level, known)
