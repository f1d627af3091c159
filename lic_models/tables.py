"""The scale table and its integer probability tables (normative: `spec/entropy.md`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["INDICES", "SCALE_MAX", "SCALE_MIN", "TAIL", "TOTAL", "WIDE", "Table", "tables"]

INDICES = 64  # index 0 is not coded
SCALE_MIN = 0.09  # of index 0, in steps; index i has SCALE_MIN * (SCALE_MAX / SCALE_MIN)^(i / 63)
SCALE_MAX = 100.0
WIDE = 0.2, 2.0  # share and scale of a second Gaussian, in scales: real tails are heavy
TAIL = 9.0  # about where a table ends, in scales
TOTAL = 1 << 24


@dataclass(frozen=True)
class Table:
    """Weights of one scale index, summing to 2^24.

    half: the largest magnitude with a weight of its own.
    weights: (2 * half + 2,) int64: symbols -half..half, then the escape.
    """

    half: int
    weights: NDArray[np.int64]


@cache
def tables() -> tuple[Table | None, ...]:
    """Return the tables by index; None for index 0."""
    found: list[Table | None] = [None]
    text = resources.files(__package__).joinpath("data/tables.txt").read_text("ascii")
    for line in text.splitlines():
        index, *side, escape = (int(word) for word in line.split())
        if index != len(found):
            raise ValueError(f"tables.txt: found index {index}, allowed is {len(found)}")
        weights = np.array([*side[:0:-1], *side, escape], dtype=np.int64)
        if int(weights.sum()) != TOTAL or int(weights.min()) < 1:
            raise ValueError(f"tables.txt: weights of index {index} do not sum to {TOTAL}")
        found.append(Table(len(side) - 1, weights))
    return tuple(found)
