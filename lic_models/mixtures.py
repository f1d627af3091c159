"""Integer probability tables of Gaussian mixtures, made for each symbol as it is coded.

Component k of a symbol s contributes PHI((16 s + 8 - offset_k) / (16 scale_k)), in integers: the
argument in 1/256 by a listed reciprocal, PHI in 1/2^24 from a listed table. Nothing is rounded
that could round otherwise elsewhere.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .tables import INDICES, TOTAL

__all__ = ["POWERS", "WEIGHTS", "halves", "letter_weights", "powers"]

WEIGHTS = 256  # what the weights of a symbol's components sum to
HALF_MIN, HALF_MAX = 4, 128  # largest magnitude with a letter of its own: a power of two
POWERS = 256
EDGE = 2048  # of the table of PHI, in 1/256: 8 scales

Integers = NDArray[np.int64]


class _Numbers(NamedTuple):
    reciprocal: Integers  # by scale index: round(2^20 / scale)
    reach: Integers  # by scale index: 5 scales, rounded up to a whole step
    phi: Integers  # round(2^24 PHI(i / 256)), i = -EDGE .. EDGE
    power: Integers  # round(2^12 2^(-i / 16)), i = 0 .. 255


@cache
def _numbers() -> _Numbers:
    text = resources.files(__package__).joinpath("data/gaussian.txt").read_text("ascii")
    lines = [np.array(line.split(), np.int64) for line in text.splitlines()]
    if [len(line) for line in lines] != [INDICES, INDICES, EDGE + 1, POWERS]:
        raise ValueError("gaussian.txt: found lines of other lengths than 64, 64, 2049 and 256")
    reciprocal, reach, upper, power = lines
    return _Numbers(reciprocal, reach, np.concatenate([TOTAL - upper[:0:-1], upper]), power)


@cache
def powers(device: torch.device) -> Tensor:
    """Return round(2^12 2^(-i / 16)) for i = 0 .. 255, int64."""
    return torch.from_numpy(_numbers().power).to(device)


def halves(offset: NDArray[np.integer], index: NDArray[np.integer]) -> Integers:
    """Return the largest magnitude (n,) with a letter of its own, for components (K, n)."""
    reach = np.zeros(offset.shape[1], np.int64)
    for o, i in zip(offset, index, strict=True):
        np.maximum(reach, _numbers().reach[i] + (np.abs(o) + 15) // 16, out=reach)
    powers = HALF_MIN << np.arange((HALF_MAX // HALF_MIN).bit_length())
    found: Integers = powers[np.searchsorted(powers, np.minimum(reach, HALF_MAX))]
    return found


def letter_weights(
    offset: Integers, index: Integers, weight: Integers, half: int
) -> NDArray[np.int64]:
    """Return the weights (n, 2 half + 2) of the letters -half .. half and the escape.

    Each is at least 1 and rows sum to 2^24. Components are (K, n).
    """
    numbers = _numbers()
    edges = 16 * np.arange(-half - 1, half + 1) + 8  # 1/16 of a step, right of each letter
    below = np.zeros((offset.shape[1], len(edges)), np.int64)
    for o, i, w in zip(offset, index, weight, strict=True):
        argument = (edges - o[:, None]) * numbers.reciprocal[i][:, None] + (1 << 15) >> 16
        below += w[:, None] * numbers.phi[argument.clip(-EDGE, EDGE) + EDGE]
    share = np.diff(below // WEIGHTS, axis=1)  # each letter's part of 2^24
    letters = 2 * half + 2
    out = np.empty((len(share), letters), np.int64)
    out[:, :-1] = 1 + share * (TOTAL - letters) // TOTAL
    out[:, -1] = TOTAL - out[:, :-1].sum(1)
    return out
