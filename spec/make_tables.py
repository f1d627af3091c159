"""Write the listed numbers, once; run by hand, never by a test or at run time.

    python spec/make_tables.py tables > spec/tables.txt
    python spec/make_tables.py gaussian > spec/gaussian.txt

The listings are normative and this program is not: another machine's `erfc` may round otherwise,
and nobody needs to run it again.
"""

from __future__ import annotations

import math
import sys

TOTAL = 1 << 24
INDICES = 64
SCALE_MIN, SCALE_MAX = 0.09, 100.0
WIDE = 0.2, 2.0  # share and scale of the second Gaussian, in scales
ESCAPE = 1 << 10  # 14 bits
TAIL = 9.0  # half range in scales
MIXTURE_TAIL = 5.0  # the same of each Gaussian of a mixture
EDGE = 2048  # 8 scales, in 1/256


def table(spread: float) -> list[int]:
    """Return the weights of |symbol| = 0..half, then the escape weight."""
    half = math.ceil(TAIL * spread) + 1
    share, ratio = WIDE
    parts = ((1 - share) / 2, spread * math.sqrt(2)), (share / 2, ratio * spread * math.sqrt(2))
    upper = [  # P(v > k - 1/2)
        sum(part * math.erfc((k - 0.5) / root) for part, root in parts) for k in range(half + 2)
    ]
    weights = [max(1, round((upper[k] - upper[k + 1]) * (TOTAL - ESCAPE))) for k in range(half + 1)]
    side = sum(weights[1:])
    weights[0] = TOTAL - ESCAPE - 2 * side  # the peak takes the rounding
    return [*weights, TOTAL - weights[0] - 2 * side]


def scale(index: int) -> float:
    ratio = (SCALE_MAX / SCALE_MIN) ** (1 / (INDICES - 1))
    return SCALE_MIN * ratio**index


def tables() -> None:
    for index in range(1, INDICES):
        print(index, *table(scale(index)))


def gaussian() -> None:
    print(*(round((1 << 20) / scale(index)) for index in range(INDICES)))
    print(*(math.ceil(MIXTURE_TAIL * scale(index)) for index in range(INDICES)))
    print(*(round(TOTAL * (1 + math.erf(i / 256 / math.sqrt(2))) / 2) for i in range(EDGE + 1)))
    print(*(round((1 << 12) * 2 ** (-i / 16)) for i in range(256)))


if __name__ == "__main__":
    {"tables": tables, "gaussian": gaussian}[sys.argv[1]]()
