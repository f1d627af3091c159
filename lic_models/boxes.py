"""Rectangles of pixels or samples, and tensors seen through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

__all__ = ["Box", "boxes", "up", "window", "within"]


class Box(NamedTuple):
    """A rectangle, from the top left to what is just below and right of it."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def grow(self, by: int, height: int, width: int) -> Box:
        """Return it with a margin around it, cut off at the border."""
        upper, lower = max(self.top - by, 0), min(self.bottom + by, height)
        return Box(upper, max(self.left - by, 0), lower, min(self.right + by, width))

    def meet(self, other: Box) -> Box | None:
        """Return what two boxes share."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Box(top, left, bottom, right) if top < bottom and left < right else None

    def move(self, down: int, across: int) -> Box:
        """Return a box of the same size elsewhere."""
        return Box(self.top + down, self.left + across, self.bottom + down, self.right + across)

    def seen_from(self, origin: Box) -> Box:
        """Return it counted from the top left of another."""
        return self.move(-origin.top, -origin.left)


def boxes(height: int, width: int, edge: int, near: Box | None = None) -> Iterator[Box]:
    """Cut a rectangle into squares of `edge` (0: no cut), in raster order, or those near a box."""
    rows, columns = (edge or height), (edge or width)
    first = near or Box(0, 0, height, width)
    for top in range(first.top // rows * rows, first.bottom, rows):
        for left in range(first.left // columns * columns, first.right, columns):
            yield Box(top, left, min(top + rows, height), min(left + columns, width))


def up(number: int, step: int) -> int:
    """Round up to a multiple."""
    return -(-number // step) * step


def window(a: Tensor, box: Box, step: int, scale: int = 1) -> Tensor:
    """View (B, C, H, W) within a box, whose unit is `scale` samples or 1 / `step` of one."""
    top, left, bottom, right = (n * scale // step for n in box)
    return a[:, :, top:bottom, left:right]


def within(part: Tensor, box: Box, around: Box, step: int, scale: int = 1) -> Tensor:
    """View a block without its halo: `part` covers `around`, of which `box` is wanted."""
    return window(part, box.seen_from(around), step, scale)
