"""Positions of a latent that are coded together, such as the halves of a checkerboard.

A set of positions is (N,) int64: row * W + column, ascending. Values there are (B, C, 1, N).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["checkerboard", "checkerboard_taps", "put", "take"]


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


def put(a: Tensor, positions: Tensor | None, values: Tensor) -> Tensor:
    """Return (B, C, H, W) with its values at positions replaced."""
    if positions is None:
        return values
    rows = _rows(a).index_copy(1, positions, values.squeeze(2).transpose(1, 2))
    batch, channels, height, width = a.shape
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)
