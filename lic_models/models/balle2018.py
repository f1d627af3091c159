"""Scale hyperprior (Balle, Minnen, Singh, Hwang and Johnston, ICLR 2018).

    x --g_a--> y --gain--> round --------------> y_hat --1/gain--> g_s --> x_hat
               |             ^ scale, mean 0
               h_a           |
               z --round--> h_s

y is zero-mean Gaussian, its scale predicted from z alone. Differences from the paper: one set of
weights covers all rates through gains and level biases, GDN's offset depends on the level, h_s
upsamples by 3x3 sub-pixel convolutions, h_a sees asinh(y) beside magnitudes, and z has a scale per
channel and level instead of a learned density.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..base import Step, Steps
from ..gdn import GdnAnalysis, GdnSynthesis
from ..hyper import GdnWidths, Hyperprior
from ..integer_blocks import Scales
from ..registry import register

__all__ = ["Balle2018"]


PAPER = GdnWidths(N=192, M=320, Z=192, hyper=192, features=320)
TOY = GdnWidths(N=12, M=16, Z=4, hyper=8, features=12)


@register("balle2018", id=2)
class Balle2018(Hyperprior):
    """Scales from a hyper-latent, no means and no contexts."""

    paper = "Balle et al., Variational Image Compression with a Scale Hyperprior, ICLR 2018, "
    paper += "arXiv:1802.01436"
    configs: ClassVar[dict[str, Any]] = {"shipped": GdnWidths(), "paper": PAPER, "toy": TOY}

    def __init__(self, config: GdnWidths) -> None:
        c = config
        super().__init__(config, GdnAnalysis(c.N, c.M), GdnSynthesis(c.N, c.M))
        self.parameters_y = nn.ModuleList([Scales(c.features, c.M)])

    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        index = self.parameters_y[0](features, level)
        yield Step("y", slice(0, self.config.M), None, torch.zeros_like(index), index)
