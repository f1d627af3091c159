"""High-fidelity generative compression (Mentzer, Toderici, Tschannen and Agustsson, NeurIPS 2020).

    x --E--> y --gain--> round --------------> y_hat --1/gain--> G --> x_hat --> D(x_hat, y_hat)
             |             ^ mean, scale
             h_a           |
             z --round--> h_s

A mean-scale hyperprior whose decoder is a generator: besides the squared error, training asks a
discriminator that knows y_hat whether an image looks real (`train/adversarial.py`). Differences
from the paper: one set of weights covers all rates through gains and level biases, every layer of
stride 2 in E and G stands beside a linear one, G upsamples by sub-pixel convolution, h_a sees
asinh(y) beside magnitudes, z has a scale per channel and level instead of a learned density, and
textures are compared by wavelets, not by a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ..base import Step, Steps
from ..channelnorm import NormAnalysis, NormSynthesis
from ..hyper import Hyperprior, HyperWidths
from ..integer_blocks import Parameters
from ..registry import register

__all__ = ["Config", "Hific"]


@dataclass(frozen=True)
class Config(HyperWidths):
    """Widths of the transforms and the parameter network.

    chain: channels after each of the first three strides; widths: inside of what stands beside
    each stride, image first; blocks: residual blocks of G, and inner: their channels; hidden: of
    the parameter network.
    """

    widths: tuple[int, int, int, int] = (8, 32, 64, 64)
    chain: tuple[int, int, int] = (32, 96, 192)
    blocks: int = 2
    inner: int = 128
    hidden: tuple[int, int] = (256, 192)


PAPER = Config(
    widths=(60, 120, 240, 480),
    chain=(120, 240, 480),
    blocks=9,
    inner=960,
    M=220,
    Z=320,
    hyper=320,
    features=320,
    hidden=(320, 220),
)
TOY = Config(
    widths=(8, 8, 12, 12),
    chain=(12, 12, 16),
    blocks=1,
    inner=12,
    M=16,
    Z=4,
    hyper=8,
    features=12,
    hidden=(12, 12),
)


@register("hific", id=6)
class Hific(Hyperprior):
    """Encoder and generator with a mean-scale hyperprior."""

    paper = "Mentzer et al., High-Fidelity Generative Image Compression, NeurIPS 2020, "
    paper += "arXiv:2006.09965"
    configs: ClassVar[dict[str, Any]] = {"shipped": Config(), "paper": PAPER, "toy": TOY}

    def __init__(self, config: Config) -> None:
        c = config
        g_a = NormAnalysis(c.widths, c.chain, c.M)
        g_s = NormSynthesis(c.widths, c.chain, c.M, blocks=c.blocks, inner=c.inner)
        super().__init__(config, g_a, g_s)
        self.parameters_y = nn.ModuleList([Parameters(c.features, c.hidden, c.M)])

    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        mean, index = self.parameters_y[0](features, level)
        yield Step("y", slice(0, self.config.M), None, mean, index)
