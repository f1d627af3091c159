"""Checkerboard context model (He, Zheng, Sun, Wang and Qin, CVPR 2021).

    x --g_a--> y --gain--> round -----------------------> y_hat --1/gain--> g_s --> x_hat
               |             ^ mean, scale                  |
               h_a           |                              |
               z      parameters <-- spatial context <-- anchors
               |             ^
               +--> round -> h_s

Half of the positions, one colour of a board, are coded from z alone; the other half also knows
its neighbours. Two steps at any size, where the raster order of Minnen et al. takes one per
position. Differences from the paper: one set of weights covers all rates through gains and level
biases, GDN's offset depends on the level, h_s upsamples by 3x3 sub-pixel convolutions, contexts and
h_a see magnitudes beside values, and z has a scale per channel and level instead of a learned
density.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..base import Steps
from ..contexts import two_passes
from ..gdn import GdnAnalysis, GdnSynthesis
from ..hyper import Hyperprior
from ..integer import FULL, IntConv2d
from ..integer_blocks import Parameters
from ..positions import KERNEL, checkerboard_taps
from ..registry import register
from .minnen2018 import Config, Minnen2018

__all__ = ["Checkerboard"]


@register("checkerboard", id=7)
class Checkerboard(Hyperprior):
    """Mean and scale from z and, for every other position, from its neighbours."""

    paper = "He et al., Checkerboard Context Model for Efficient Learned Image Compression, "
    paper += "CVPR 2021, arXiv:2103.15306"
    configs = Minnen2018.configs  # as wide as what it speeds up

    def __init__(self, config: Config) -> None:
        c = config
        super().__init__(config, GdnAnalysis(c.N, c.M), GdnSynthesis(c.N, c.M))
        taps = checkerboard_taps(KERNEL)
        self.spatial = IntConv2d(2 * c.M, c.context, KERNEL, lo=-FULL, mask=taps)
        self.parameters_y = nn.ModuleList([Parameters(c.features + c.context, c.hidden, c.M)])

    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        channels = slice(0, self.config.M)
        yield from two_passes(channels, features, self.spatial, self.parameters_y[0], level)
