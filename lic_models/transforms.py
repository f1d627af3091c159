"""Pixels to y and back, in blocks with a halo: memory is bounded by the block, not by the image.

Blocks see across tile borders, so there are no seams.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from .base import Latents, Model
from .boxes import Box, boxes, up, window, within
from .coded import TILE_PIXELS_MAX, Coded
from .entropy import UNIT
from .pixels import real, whole

__all__ = ["Kept", "Transforms"]

REUSE = 500  # levels: as far as an analysis serves others, at 1 % more bytes at the most
GREY = {8: 128, 16: 32896}  # of a tile that is lost, by depth

Kept = dict[int, tuple[int, Tensor]]  # an analysis by its first row: its level and y


class Transforms:
    """The analysis and the synthesis of a model on a device."""

    block = 1024  # edge in pixels that one works on at a time, halo not counted

    def __init__(self, model: Model, device: torch.device) -> None:
        self.model, self.device = model, device

    def where(self, *levels: int) -> Tensor:
        """Levels (B,) as the transforms take them."""
        return torch.tensor(levels, dtype=torch.float32, device=self.device)

    def full(self) -> torch.autocast:
        """Run in full precision, even inside a caller's autocast."""
        return torch.autocast(self.device.type, enabled=False)

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Return the size that is coded: whole strides."""
        stride = self.model.stride
        return up(height, stride), up(width, stride)

    def near(self, region: Box, height: int, width: int) -> Box:
        """Return what a region's pixels depend on: its blocks of 16 pixels and the halo."""
        step = self.model.pixels
        top, left, bottom, right = region
        aligned = Box(top // step * step, left // step * step, up(bottom, step), up(right, step))
        return aligned.grow(self.model.halo * step, *self.padded(height, width))

    @torch.inference_mode()
    def analyse(self, image: Tensor, level: int, upper: int = 0, lower: int = 0) -> Tensor:
        """y (1, M, (lower - upper) / 16, W / 16) of rows of an image (3, h, w); of all by default.

        The image is padded by repeating its edge.
        """
        height, width = self.padded(*image.shape[1:])
        lower = lower or height
        step = self.model.pixels
        where = self.where(level)
        y = None
        for target in boxes(lower - upper, width, self.block):
            box = target.move(upper, 0)
            around = box.grow(self.model.halo * step, height, width)
            rows = torch.arange(around.top, around.bottom, device=image.device)
            columns = torch.arange(around.left, around.right, device=image.device)
            rows.clamp_max_(image.shape[1] - 1)
            columns.clamp_max_(image.shape[2] - 1)
            x = image[:, rows[:, None], columns[None]].to(self.device)
            x = real(x[None]).contiguous(memory_format=torch.channels_last)
            with self.full():
                part = self.model.analyse(x, where)
            if y is None:
                size = (lower - upper) // step, width // step
                y = part.new_empty(1, part.shape[1], *size)
            window(y, target, step).copy_(within(part, box, around, step))
        assert y is not None
        return y

    @torch.inference_mode()
    def analyse_near(
        self, image: Tensor, level: int, upper: int, lower: int, kept: Kept | None
    ) -> Tensor:
        """`analyse`, or what has been kept of it at a level nearby."""
        if kept is None or image[0].numel() > TILE_PIXELS_MAX:  # keeping it would take memory
            return self.analyse(image, level, upper, lower)
        if upper in kept and abs(kept[upper][0] - level) <= REUSE:
            before, y = kept[upper]
            return self.model.regain(y, self.where(before), self.where(level))
        kept[upper] = level, self.analyse(image, level, upper, lower)
        return kept[upper][1]

    @torch.inference_mode()
    def synthesise(
        self,
        found: Iterable[tuple[Box, Latents | None]],
        region: Box,
        coded: Coded,
    ) -> Tensor:
        """Pixels (3, h, w) of a region, from the latents of the tiles near it, in raster order.

        Latents are kept for a few rows of tiles only.
        """
        near = self.near(region, coded.height, coded.width)
        step, halo = self.model.pixels, self.model.halo
        rows, columns = near.height // step, near.width // step
        lost: list[Box] = []
        pixels: Tensor | None = None
        held: Tensor | None = None  # y_hat from row `first` on
        first = 0
        waiting = boxes(rows, columns, self.block // step)
        box = next(waiting, None)
        for row in self.rows(found, near, lost):
            held = row if held is None else torch.cat([held, row], 2)
            if pixels is None:  # a row of tiles was read: now the claimed size may cost memory
                kind = torch.uint8 if coded.depth == 8 else torch.int32
                size = rows * step, columns * step, 3
                pixels = torch.empty(size, dtype=kind, device=self.device).permute(2, 0, 1)
            while box is not None and first + held.shape[2] >= min(box.bottom + halo, rows):
                around = box.grow(halo, rows, columns)
                part = window(held, around.move(-first, 0), 1)
                out = self.pixels(part, [coded.level], coded.depth)
                inner = within(out, box, around, 1, step)
                window(pixels[None], box, 1, step).copy_(inner)
                done, box = box, next(waiting, None)
                if box is not None and box.top > done.top:  # the rows above are done with
                    keep = max(box.top - halo, first)
                    held, first = held[:, :, keep - first :], keep
        assert pixels is not None
        for each in lost:
            window(pixels[None], each.seen_from(near), 1).fill_(GREY[coded.depth])
        return window(pixels[None], region.seen_from(near), 1)[0]

    def at_once(self, height: int, width: int) -> int:
        """How many images of a size `synthesise_batch` may take: one block's memory for all."""
        padded = self.padded(height, width)
        return max(self.block**2 // (padded[0] * padded[1]), 1)

    @torch.inference_mode()
    def synthesise_batch(
        self, found: Sequence[Iterable[tuple[Box, Latents | None]]], files: Sequence[Coded]
    ) -> list[Tensor]:
        """Pixels (3, H, W) of images of one size and depth, from all tiles of each."""
        height, width, depth = files[0].height, files[0].width, files[0].depth
        near = Box(0, 0, *self.padded(height, width))
        lost: list[list[Box]] = [[] for _ in files]
        latents = [
            torch.cat(list(self.rows(tiles, near, gone)), 2)
            for tiles, gone in zip(found, lost, strict=True)
        ]
        pixels = self.pixels(torch.cat(latents), [coded.level for coded in files], depth)
        for image, gone in zip(pixels, lost, strict=True):
            for box in gone:
                window(image[None], box, 1).fill_(GREY[depth])
        return [image[:, :height, :width] for image in pixels]

    def rows(
        self, found: Iterable[tuple[Box, Latents | None]], near: Box, lost: list[Box]
    ) -> Iterator[Tensor]:
        """y_hat (1, M, h, columns) within a box of pixels, one row of tiles after another.

        Parts that are lost are zero, and appended to `lost`.
        """
        step = self.model.pixels
        channels, _, columns = self.model.shapes(near.height, near.width)["y"]
        for _, tiles in groupby(found, key=lambda each: each[0].top):
            y_hat = None
            for box, latents in tiles:
                inner = box.meet(near)
                assert inner is not None
                if y_hat is None:
                    size = inner.height // step, columns
                    y_hat = torch.zeros(1, channels, *size, dtype=torch.float32, device=self.device)
                if latents is None:
                    lost.append(inner)
                    continue
                y = window(latents["y"], inner.seen_from(box), step)
                target = inner.move(-inner.top, -near.left)
                window(y_hat, target, step).copy_(y / UNIT)
            assert y_hat is not None  # no group is empty
            yield y_hat

    def pixels(self, y_hat: Tensor, at: Sequence[int], depth: int) -> Tensor:
        """Pixels (B, 3, 16 h, 16 w) of y_hat (B, M, h, w), one level each; int32 at depth 16."""
        where = self.where(*at)
        y_hat = y_hat.contiguous(memory_format=torch.channels_last)
        with self.full():
            x_hat = self.model.synthesise(y_hat, where)
        return whole(x_hat, depth)
