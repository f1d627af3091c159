"""High-fidelity generative compression (Mentzer, Toderici, Tschannen and Agustsson, NeurIPS 2020).

    x --E--> y --gain--> round --------------> y_hat --1/gain--> G --> x_hat --> D(x_hat, y_hat)
             |             ^ mean, scale
             h_a           |
             z --round--> h_s

A mean-scale hyperprior whose decoder is a generator: besides the squared error, training asks a
discriminator that knows y_hat whether an image looks real (`train/adversarial.py`). Differences
from the paper: E and G stand beside ELIC's transforms and start from trained ones, one set of
weights covers all rates through gains and level biases, E goes to M channels at once instead of by
960, G and h_s upsample by sub-pixel convolution, h_a sees asinh(y) beside magnitudes, z has a scale
per channel and level instead of a learned density, and textures are compared by wavelets, not by a
network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ..base import Step, Steps
from ..channelnorm import NormAnalysis, NormSynthesis
from ..hyper import Hyperprior, HyperWidths
from ..integer_blocks import Parameters
from ..layers import CHAIN
from ..registry import register

__all__ = ["Config", "Hific"]


@dataclass(frozen=True)
class Config(HyperWidths):
    """Widths of the transforms and the parameter network.

    widths, kernels, blocks, units: of ELIC's transforms, as there. beside: channels inside of what
    stands beside each of their strides, image first. head: residual blocks of G, and their
    channels. hidden: of the parameter network.
    """

    features: int = 256
    widths: tuple[int, int, int] = (32, 96, 192)
    kernels: tuple[int, int, int, int] = CHAIN
    blocks: int = 2
    units: int = 1
    beside: tuple[int, int, int, int] = (8, 32, 64, 64)
    head: tuple[int, int] = (2, 128)
    hidden: tuple[int, int] = (320, 256)


PAPER = Config(
    widths=(120, 240, 480),
    blocks=0,
    units=0,
    beside=(60, 120, 240, 480),
    head=(9, 960),
    M=220,
    Z=320,
    hyper=320,
    features=320,
    hidden=(320, 220),
)
TOY = Config(
    widths=(12, 12, 16),
    kernels=(3, 3, 3, 3),
    blocks=1,
    beside=(8, 8, 12, 12),
    head=(1, 12),
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
        options: dict[str, Any] = {"kernels": c.kernels, "blocks": c.blocks, "units": c.units}
        g_a = NormAnalysis(c.widths, c.M, beside=c.beside, **options)
        g_s = NormSynthesis(c.widths, c.M, beside=c.beside, head=c.head, **options)
        super().__init__(config, g_a, g_s)
        self.parameters_y = nn.ModuleList([Parameters(c.features, c.hidden, c.M)])

    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        mean, index = self.parameters_y[0](features, level)
        yield Step("y", slice(0, self.config.M), None, mean, index)
