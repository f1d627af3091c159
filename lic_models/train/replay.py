"""What has been analysed, served again: with transforms at rest, y of a crop stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["Replay"]

USES = 6  # steps that a batch serves on average: analysing it takes as long as half a step or two
HELD = 512  # batches: 0.5 GB of 6 crops of 256 x 256 pixels each


class Replay:
    """Batches, of which one in `USES` is new and all others have been drawn before.

    Args:
        fresh: gives a new one: y (B, M, H, W), and levels (B,).
        random: says which are served again.
    """

    def __init__(
        self, fresh: Callable[[], tuple[Tensor, Tensor]], random: np.random.Generator
    ) -> None:
        self.fresh, self.random = fresh, random
        self.held: list[tuple[Tensor, Tensor]] = []

    def __call__(self) -> tuple[Tensor, Tensor]:
        if not self.held or self.random.random() < 1 / USES:
            y, level = self.fresh()
            kept = y.to(torch.float16), level  # finer than rounding by far, for any y up to 2048
            if len(self.held) < HELD:
                self.held.append(kept)
            else:
                self.held[self.random.integers(HELD)] = kept
            return y, level
        y, level = self.held[self.random.integers(len(self.held))]
        return y.float(), level
