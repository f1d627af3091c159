"""entropy.md, section 4.1, and steps.md, section 1.1: mixtures of three Gaussians."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from .layers import Integers
from .rangecoder import TOTAL, Table

GAUSSIAN_SHA256 = "361cc5672b89eed8f303a1c748bbf54ea680939025cd67886a36513af3088eac"
COMPONENTS = 3
WEIGHTS = 256
HALVES = (4, 8, 16, 32, 64, 128)
EDGE = 2048


@dataclass
class Mixture:
    """Three of everything for each symbol: arrays [k, channel, row, column]."""

    offset: Integers
    index: Integers
    weight: Integers


@cache
def numbers() -> tuple[list[int], ...]:
    """Return R, reach, F for arguments from 0, and pow."""
    data = (Path(__file__).parent.parent / "gaussian.txt").read_bytes()
    if hashlib.sha256(data).hexdigest() != GAUSSIAN_SHA256:
        raise ValueError("gaussian.txt: not the numbers of the specification")
    return tuple([int(word) for word in line.split()] for line in data.decode().splitlines())


def blend(mean: Integers, index: Integers, logit: Integers) -> tuple[Integers, Integers, Mixture]:
    """Turn the outputs of a mixture network into mean, index and mixture."""
    means, indices, logits = (
        part.reshape(COMPONENTS, -1, *part.shape[1:]) for part in (mean, index, logit)
    )
    powers = np.array(numbers()[3])
    share = powers[np.minimum(logits.max(0) - logits, len(powers) - 1)]
    weight = WEIGHTS * share // share.sum(0)
    first = logits.argmax(0)[None]  # the first of equal ones
    rest = np.take_along_axis(weight, first, 0) + WEIGHTS - weight.sum(0)
    np.put_along_axis(weight, first, rest, 0)
    middle = np.take_along_axis(means, first, 0)
    return middle[0], indices.max(0), Mixture(means - middle, indices, weight)


def table(offset: list[int], index: list[int], weight: list[int]) -> Table:
    """Return the table of one symbol."""
    reciprocals, reaches, normal, _ = numbers()
    need = max(reaches[i] + (abs(o) + 15) // 16 for o, i in zip(offset, index, strict=True))
    half = next((half for half in HALVES if half >= need), HALVES[-1])
    letters = 2 * half + 2

    def below(symbol: int) -> int:
        total = 0
        for o, i, w in zip(offset, index, weight, strict=True):
            at = ((16 * symbol + 8 - o) * reciprocals[i] + (1 << 15)) >> 16
            at = max(-EDGE, min(at, EDGE))
            total += w * (normal[at] if at >= 0 else TOTAL - normal[-at])
        return total // WEIGHTS

    edges = [below(symbol) for symbol in range(-half - 1, half + 1)]
    weights = [1 + (right - left) * (TOTAL - letters) // TOTAL for left, right in pairwise(edges)]
    return Table([*weights, TOTAL - sum(weights)])
