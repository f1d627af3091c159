"""Positions of a latent that are coded together, such as the halves of a checkerboard.

A set of positions is (N,) int64: row * W + column, ascending. Values there are (B, C, 1, N).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

import torch
from torch import Tensor

__all__ = [
    "KERNEL",
    "Neighbourhood",
    "causal_offsets",
    "checkerboard",
    "checkerboard_taps",
    "fill",
    "put",
    "take",
    "wavefronts",
]

KERNEL = 5  # of spatial contexts, causal and checkerboard
KEPT = 32  # results of each function here; a set has 8 bytes for a position
_Found = TypeVar("_Found")


def _kept(function: Callable[..., _Found]) -> Callable[..., _Found]:
    """Keep what a function found last: latents of one size follow each other.

    It is what any mode of autograd can use, whichever was on when it was asked for.
    """

    @lru_cache(KEPT)
    @wraps(function)
    def find(*arguments: object) -> _Found:
        with torch.inference_mode(False):
            return function(*arguments)

    return find


@_kept
def checkerboard(
    height: int, width: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Return the anchors of an (H, W) latent, where row + column is even, and the others."""
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)[None]
    colour = ((rows + columns) % 2).flatten()
    return (colour == 0).nonzero()[:, 0], colour.nonzero()[:, 0]


def checkerboard_taps(kernel: int) -> Tensor:
    """Return the (k, k) taps that see the other colour: 1 where the offset sum is odd."""
    offsets = torch.arange(kernel) - kernel // 2
    return ((offsets[:, None] + offsets[None]) % 2 != 0).float()


def _rows(a: Tensor) -> Tensor:
    """View (B, C, H, W), channels innermost, as (B, H * W, C)."""
    return a.permute(0, 2, 3, 1).flatten(1, 2)


def take(a: Tensor, positions: Tensor | None) -> Tensor:
    """Return the values of (B, C, H, W) at positions; None is all of them, unchanged."""
    if positions is None:
        return a
    return _rows(a).index_select(1, positions).transpose(1, 2).unsqueeze(2)


def put(a: Tensor, positions: Tensor, values: Tensor) -> Tensor:
    """Return (B, C, H, W) with its values at positions replaced."""
    rows = _rows(a).index_copy(1, positions, values.squeeze(2).transpose(1, 2))
    batch, channels, height, width = a.shape
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def fill(a: Tensor, positions: Tensor | None, values: Tensor) -> None:
    """Do what `put` does in place; (B, C, H, W) has its channels innermost."""
    if positions is None:
        a.copy_(values)
    else:
        _rows(a).index_copy_(1, positions, values.squeeze(2).transpose(1, 2))


def causal_offsets(kernel: int) -> list[tuple[int, int]]:
    """Return (row, column) offsets of the taps before the centre in raster order."""
    r = kernel // 2
    return [(i, j) for i in range(-r, 1) for j in range(-r, r + 1) if (i, j) < (0, 0)]


@_kept
def wavefronts(height: int, width: int, kernel: int, device: torch.device | str) -> list[Tensor]:
    """Return sets of positions, in coding order, that know nothing of each other.

    With a causal (k, k) context, position (i, j) waits for (i - 1, j + k // 2) at most, so all
    positions with the same j + (k // 2 + 1) i can be coded together.
    """
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)[None]
    wave = (columns + (kernel // 2 + 1) * rows).flatten()
    order = torch.argsort(wave, stable=True)
    return list(torch.split(order, torch.bincount(wave).tolist()))


@_kept
def _shifts(offsets: tuple[tuple[int, int], ...], stride: int, device: torch.device) -> Tensor:
    """From a position to its neighbours, counting in rows of `stride`."""
    return torch.tensor([i * stride + j for i, j in offsets], device=device)


class Neighbourhood:
    """A latent as far as it is known, zero elsewhere, and what surrounds positions in it.

    Args:
        shape: (B, C, H, W). offsets: (row, column) of the neighbours. dtype: of values.
    """

    def __init__(
        self,
        shape: torch.Size,
        offsets: list[tuple[int, int]],
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        batch, channels, height, width = shape
        margin = max(max(abs(i), abs(j)) for i, j in offsets)
        stride, size = width + 2 * margin, height + 2 * margin
        places = torch.arange(size * stride, device=device).view(size, stride)
        self.places = places[margin : margin + height, margin : margin + width].flatten()
        self.rows = torch.zeros(batch, size * stride, channels, dtype=dtype, device=device)
        self.shifts = _shifts(tuple(offsets), stride, device)

    def put(self, positions: Tensor, values: Tensor) -> None:
        """Fill in values (B, C, 1, N)."""
        where = self.places.index_select(0, positions)
        found = values.squeeze(2).transpose(1, 2)
        if found.requires_grad:
            self.rows = self.rows.index_copy(1, where, found)
        else:
            self.rows.index_copy_(1, where, found)

    def at(self, positions: Tensor) -> Tensor:
        """Return the values at positions, (B, C, 1, N)."""
        where = self.places.index_select(0, positions)
        return self.rows.index_select(1, where).transpose(1, 2).unsqueeze(2)

    def around(self, positions: Tensor) -> Tensor:
        """Return the neighbours of positions, (B, taps * C, 1, N), tap by tap."""
        where = self.places.index_select(0, positions)[:, None] + self.shifts  # (N, T)
        found = self.rows.index_select(1, where.flatten())
        return found.view(len(self.rows), len(where), -1).transpose(1, 2).unsqueeze(2)

    def add(self, positions: Tensor, values: Tensor) -> None:
        """Add (B, N, taps * C) to those that have these positions as neighbours, tap by tap."""
        where = self.places.index_select(0, positions)[:, None] - self.shifts
        batch, _, channels = self.rows.shape
        self.rows.index_add_(1, where.flatten(), values.reshape(batch, -1, channels))
