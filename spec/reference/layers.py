"""entropy.md, section 2: integer layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
ACTIVATION_MAX = 1023


def saturate(values: Integers) -> Integers:
    return np.clip(values, -ACTIVATION_MAX, ACTIVATION_MAX)


def both(values: Integers) -> Integers:
    """Return values, saturated, and their magnitudes (steps.md, section 2)."""
    values = saturate(values)
    n = np.abs(values) + 16
    e = sum((n >= 16 << power).astype(np.int64) for power in range(1, 7))
    return np.concatenate([values, 16 * e + (n >> e) - 16])


def shuffle(values: Integers) -> Integers:
    """Make one channel of double size from each four."""
    channels, height, width = values.shape
    grid = values.reshape(channels // 4, 2, 2, height, width)
    return grid.transpose(0, 3, 1, 4, 2).reshape(channels // 4, 2 * height, 2 * width)


def level_row(rows: npt.NDArray[np.int32], level: int) -> Integers:
    """Interpolate between the rows of two anchor levels, in integers."""
    n = min((level - 100) // 1100, 8)
    t = level - 100 - 1100 * n
    wide = rows.astype(np.int64)
    out: Integers = (wide[n] * (1100 - t) + wide[n + 1] * t + 550) // 1100
    return out


@dataclass
class Layer:
    weight: npt.NDArray[np.int16]
    bias: npt.NDArray[np.int32]
    shift: npt.NDArray[np.uint8]
    low: int
    high: int

    def __call__(self, values: Integers, level: int) -> Integers:
        """Convolve as float64 matrix products, one per kernel element.

        The products are exact in whatever order BLAS adds: every partial sum is an integer of
        at most sum |weight| * |input| <= 640 * 25 * 2^15 * 1023 < 2^39 in magnitude, and float64
        holds every integer up to 2^53, so no addition rounds.
        """
        inputs, height, width = values.shape
        outputs, _, kernel, _ = self.weight.shape
        r = (kernel - 1) // 2
        padded = np.pad(values.astype(np.float64), ((0, 0), (r, r), (r, r)))
        weight = self.weight.astype(np.float64)
        total = np.zeros((outputs, height * width))
        for u in range(kernel):
            for v in range(kernel):
                window = padded[:, u : u + height, v : v + width].reshape(inputs, -1)
                total += weight[:, :, u, v] @ window
        sums = total.astype(np.int64) + level_row(self.bias, level)[:, None]
        return self.rescale(sums).reshape(outputs, height, width)

    def rescale(self, sums: Integers) -> Integers:
        """Round, shift and clamp an array [output, position]."""
        shift = self.shift.astype(np.int64)[:, None]
        half = (np.int64(1) << shift) >> 1  # 0 for shift 0
        out: Integers = np.clip((sums + half) >> shift, self.low, self.high)
        return out

    def constant(self, level: int) -> Integers:
        """Return the output at one position for an input of 0."""
        return self.rescale(level_row(self.bias, level)[:, None])[:, 0]
