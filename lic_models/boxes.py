"""Rectangles of pixels or samples, and tensors seen through them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

__all__ = ["Box", "boxes", "grow", "meet", "shift", "up", "window", "within"]

Box = tuple[int, int, int, int]  # top, left, bottom, right


def boxes(height: int, width: int, edge: int, near: Box | None = None) -> Iterator[Box]:
    """Cut a rectangle into squares of `edge` (0: no cut), in raster order, or those near a box."""
    rows, columns = (edge or height), (edge or width)
    first = near or (0, 0, height, width)
    for top in range(first[0] // rows * rows, first[2], rows):
        for left in range(first[1] // columns * columns, first[3], columns):
            yield top, left, min(top + rows, height), min(left + columns, width)


def grow(box: Box, by: int, height: int, width: int) -> Box:
    """Return a box with a margin around it, cut off at the border."""
    top, left, bottom, right = box
    return max(top - by, 0), max(left - by, 0), min(bottom + by, height), min(right + by, width)


def up(number: int, step: int) -> int:
    """Round up to a multiple."""
    return -(-number // step) * step


def meet(box: Box, other: Box) -> Box | None:
    """Return what two boxes share."""
    top, left = max(box[0], other[0]), max(box[1], other[1])
    bottom, right = min(box[2], other[2]), min(box[3], other[3])
    return (top, left, bottom, right) if top < bottom and left < right else None


def shift(box: Box, origin: Box) -> Box:
    """Return a box counted from the top left of another."""
    return box[0] - origin[0], box[1] - origin[1], box[2] - origin[0], box[3] - origin[1]


def window(a: Tensor, box: Box, step: int, scale: int = 1) -> Tensor:
    """View (B, C, H, W) within a box, whose unit is `scale` samples or 1 / `step` of one."""
    top, left, bottom, right = (n * scale // step for n in box)
    return a[:, :, top:bottom, left:right]


def within(part: Tensor, box: Box, around: Box, step: int, scale: int = 1) -> Tensor:
    """View a block without its halo: `part` covers `around`, of which `box` is wanted."""
    return window(part, shift(box, around), step, scale)
