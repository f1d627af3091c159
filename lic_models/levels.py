"""Quality, level and lambda: the one scale that every model shares.

`quality` is what a user says, 1 to 100, any real number.
`level` is the integer stored in a file, hundredths of quality, 100 to 10000.
Gains and biases are trained at `ANCHORS` levels, evenly spaced; between two anchors they are
interpolated: gains geometrically (Cui et al., Asymmetric Gained Deep Image Compression, 2021),
integer biases linearly (`integer.py`).
"""

from __future__ import annotations

import numbers
from typing import Any

__all__ = [
    "ANCHORS",
    "LEVEL_MAX",
    "LEVEL_MIN",
    "LMBDA_MAX",
    "LMBDA_MIN",
    "SPACING",
    "anchor",
    "level_from_quality",
    "lmbda",
]

LEVEL_MIN = 100
LEVEL_MAX = 10000
ANCHORS = 10
SPACING = (LEVEL_MAX - LEVEL_MIN) // (ANCHORS - 1)  # 1100

LMBDA_MIN = 0.0006  # weight of 255^2 * MSE at level 100, as in the papers
LMBDA_MAX = 0.2  # at level 10000


def level_from_quality(quality: object) -> int:
    """Return the stored level for a quality.

    Raises ValueError unless `quality` is a real number from 1 to 100.
    """
    value: Any = quality  # `numbers.Real` does not say that it can be compared
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (real and 1 <= value <= 100):  # which NaN is not
        raise ValueError(f"quality: found {quality!r}, allowed is a number from 1 to 100")
    return round(float(value) * 100)


def lmbda(level: Any) -> Any:
    """Return lambda, the weight of 255^2 * MSE beside bits per pixel, at a level or a tensor."""
    share = (level - LEVEL_MIN) / (LEVEL_MAX - LEVEL_MIN)
    return LMBDA_MIN * (LMBDA_MAX / LMBDA_MIN) ** share


def anchor(level: int) -> tuple[int, int]:
    """Split a level into the index of the anchor below and the distance 0..SPACING above it."""
    below = min((level - LEVEL_MIN) // SPACING, ANCHORS - 2)
    return below, level - LEVEL_MIN - below * SPACING
