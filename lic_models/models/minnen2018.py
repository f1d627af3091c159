"""Joint autoregressive and hierarchical priors (Minnen, Balle and Toderici, NeurIPS 2018).

    x --g_a--> y --gain--> round ----------------------> y_hat --1/gain--> g_s --> x_hat
               |             ^ mean, scale                 |
               h_a           |                             |
               |        parameters <-- masked 5x5 context <+
               z             ^
               +--> round -> h_s

Each position knows z and the twelve positions before it in raster order. They are decoded in
wavefronts: the same numbers as position by position, in W + 3 (H - 1) steps instead of W H.
Differences from the paper: one set of weights covers all rates through gains and level biases,
GDN's offset depends on the level, h_s upsamples by 3x3 sub-pixel convolutions, ReLU stands for
leaky ReLU, contexts and h_a see magnitudes beside values, and z has a scale per channel and level
instead of a learned density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ..base import Steps
from ..causal import Causal
from ..contexts import waves
from ..gdn import GdnAnalysis, GdnSynthesis
from ..hyper import GdnWidths, Hyperprior
from ..integer_blocks import Parameters
from ..registry import register

__all__ = ["Config", "Minnen2018"]


@dataclass(frozen=True)
class Config(GdnWidths):
    """context: channels of the spatial context; hidden: of the parameter network."""

    context: int = 192
    hidden: tuple[int, int] = (256, 192)


PAPER = Config(N=192, M=320, Z=192, hyper=192, features=640, context=640, hidden=(1066, 853))
TOY = Config(N=12, M=16, Z=4, hyper=8, features=12, context=8, hidden=(12, 12))


@register("minnen2018", id=3)
class Minnen2018(Hyperprior):
    """Mean and scale from z and a causal neighbourhood."""

    paper = "Minnen et al., Joint Autoregressive and Hierarchical Priors for Learned Image "
    paper += "Compression, NeurIPS 2018, arXiv:1809.02736"
    configs: ClassVar[dict[str, Any]] = {"shipped": Config(), "paper": PAPER, "toy": TOY}
    sequential = True

    def __init__(self, config: Config) -> None:
        c = config
        super().__init__(config, GdnAnalysis(c.N, c.M), GdnSynthesis(c.N, c.M))
        self.context = Causal(2 * c.M, c.context)
        self.parameters_y = nn.ModuleList([Parameters(c.features + c.context, c.hidden, c.M)])

    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        yield from waves(self.config.M, features, self.context, self.parameters_y[0], level, known)
