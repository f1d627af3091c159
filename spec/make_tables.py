"""Write the Gaussian probability tables, once; run by hand, never by a test or at run time.

    python spec/make_tables.py > spec/tables.txt

The listing is normative and this program is not: another machine's `erfc` may round otherwise,
and nobody needs to run it again.
"""

from __future__ import annotations

import math

TOTAL = 1 << 24
INDICES = 64
SCALE_MIN, SCALE_MAX = 0.15, 128.0
ESCAPE = 1 << 10  # 14 bits: real tails are heavier than a Gaussian's
TAIL = 5.0  # half range in scales


def table(scale: float) -> list[int]:
    """Return the weights of |symbol| = 0..half, then the escape weight."""
    half = math.ceil(TAIL * scale) + 1
    root = scale * math.sqrt(2)
    upper = [0.5 * math.erfc((k - 0.5) / root) for k in range(half + 2)]  # P(v > k - 1/2)
    weights = [max(1, round((upper[k] - upper[k + 1]) * (TOTAL - ESCAPE))) for k in range(half + 1)]
    side = sum(weights[1:])
    weights[0] = TOTAL - ESCAPE - 2 * side  # the peak takes the rounding
    return [*weights, TOTAL - weights[0] - 2 * side]


def main() -> None:
    ratio = (SCALE_MAX / SCALE_MIN) ** (1 / (INDICES - 1))
    for index in range(1, INDICES):
        print(index, *table(SCALE_MIN * ratio**index))


if __name__ == "__main__":
    main()
