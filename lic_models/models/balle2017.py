"""End-to-end optimised image compression (Balle, Laparra and Simoncelli, ICLR 2017).

    x --g_a--> y --gain--> round --> y_hat --1/gain--> g_s --> x_hat
                             ^ density per channel and level

No side information: every channel has one density, the same everywhere, and the rate is trained
with uniform noise in the place of rounding. Differences from the paper: g_s is trained with what
rounding leaves instead of that noise, the transforms are the four 5x5 convolutions
of the later papers (as in most re-trained versions) instead of a 9x9 and two 5x5, the density is a
mixture of three Gaussians, and one set of weights covers all rates through gains and densities per
level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ..base import Latents, Step, Steps
from ..gdn import GdnAnalysis, GdnSynthesis
from ..hyper import Transformed, Widths
from ..integer_blocks import MixturePrior
from ..registry import register

__all__ = ["Balle2017", "Config"]


@dataclass(frozen=True)
class Config(Widths):
    """N: channels of the transforms."""

    N: int = 96


PAPER = Config(N=192, M=320)
TOY = Config(N=12, M=16)


@register("balle2017", id=1)
class Balle2017(Transformed):
    """GDN transforms and a factorised prior."""

    paper = "Balle et al., End-to-end Optimized Image Compression, ICLR 2017, arXiv:1611.01704"
    configs: ClassVar[dict[str, Any]] = {"shipped": Config(), "paper": PAPER, "toy": TOY}

    def __init__(self, config: Config) -> None:
        c = config
        super().__init__(config, GdnAnalysis(c.N, c.M), GdnSynthesis(c.N, c.M))
        self.parameters_y = nn.ModuleList([MixturePrior(c.M)])

    def latents(self, y: Tensor, level: Tensor) -> Latents:
        return {"y": y}

    def shapes(self, height: int, width: int) -> dict[str, tuple[int, int, int]]:
        return {"y": (self.config.M, height // 16, width // 16)}

    def steps(
        self,
        shapes: dict[str, tuple[int, int, int]],
        level: Any,
        known: Tensor | None = None,
    ) -> Steps:
        mean, index, mixture = self.parameters_y[0](shapes["y"], level)
        yield Step("y", slice(0, self.config.M), None, mean, index, mixture)
