"""Pixels to coded tiles and back.

A large image is cut into tiles whose symbols are coded independently; the transforms see across
tile borders, so there are no seams. Both transforms run in blocks with a halo, which bounds their
memory whatever the tile size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import coding, registry, weights
from .base import Latents, Model
from .boxes import Box, boxes, grow, meet, shift, up, window, within
from .device import choose
from .entropy import UNIT, estimate, nearest
from .errors import StreamError
from .levels import LEVEL_MAX, LEVEL_MIN, level_from_quality
from .refine import EFFORT_MAX, refine

__all__ = ["Codec", "Coded", "load"]

BLOCK = 1024  # pixels a transform works on at a time, halo not counted
TILE_UNIT = 64
TILE_PIXELS_MAX = 1 << 24  # a tile's latents are coded as a whole: this bounds memory
WHITE = {torch.uint8: 255, torch.int32: 65535}
REUSE = 500  # levels: as far as an analysis serves others, at 1 % more bytes at the most
GREY = {8: 128, 16: 32896}  # of a tile that is lost, by depth
_HEAD = struct.Struct("<IIHB")  # width, height, level, tile / 64
_LENGTH = struct.Struct("<I")

Pixels = NDArray[Any]  # uint8 or uint16
Kept = dict[int, tuple[int, Tensor]]  # an analysis by its first row: its level and y


class Coded(NamedTuple):
    """An image as `encode_tiles` leaves it; None stands for a payload that is lost."""

    payloads: Sequence[bytes | None]
    width: int
    height: int
    level: int
    tile: int
    depth: int = 8  # bits per sample of what is decoded, 8 or 16


class Codec:
    """A model with its weights, ready to code.

    Attributes:
        name, model_id: of the model. fingerprint: 8 bytes, of the weights.
    """

    def __init__(self, model: Model, fingerprint: bytes, device: torch.device) -> None:
        self.model, self.fingerprint, self.device = model, fingerprint, device
        self.name, self.model_id = model.name, model.model_id

    # -- tiles: what the file format stores ----------------------------------------------------

    def encode_tiles(
        self,
        pixels: Pixels | Tensor,
        level: int,
        tile: int,
        on_tile: Callable[[], object] | None = None,
        effort: int = 0,
        kept: Kept | None = None,
    ) -> list[bytes]:
        """Code an image: uint8 or uint16 (H, W, 3), or float (3, H, W) in [0, 1].

        `level` is 100 * quality, `tile` the edge of a tile in pixels, a multiple of 64, or 0 for
        one tile. Returns the payloads in raster order; `on_tile` is called after each. An `effort`
        above 0, up to 9, takes 2^effort gradient steps on each tile's latents. Calls for one image
        that pass the same `kept`, empty at first, share analyses at levels close to each other.
        Raises ValueError if an argument is out of its range.
        """
        payloads = []
        for latents in self._latents(pixels, level, tile, effort, kept):
            payloads.append(coding.encode(self.model, latents, level)[0])
            if on_tile:
                on_tile()
        return payloads

    def encode_seen(
        self,
        pixels: Pixels | Tensor,
        level: int,
        tile: int,
        effort: int = 0,
        kept: Kept | None = None,
    ) -> tuple[list[bytes], Pixels]:
        """Return what `encode_tiles` does and what `decode_tiles` makes of it, in less time.

        Arguments and errors are those of `encode_tiles`; the pixels are (H, W, 3), uint8, or
        uint16 if those that came were.
        """
        coded = [
            coding.encode(self.model, each, level)
            for each in self._latents(pixels, level, tile, effort, kept)
        ]
        height, width = _image(pixels).shape[1:]
        cut = boxes(*self._padded(height, width), tile)
        known = zip(cut, (latents for _, latents in coded), strict=True)
        wide = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint16
        coded_as = Coded([], width, height, level, tile, 16 if wide else 8)
        seen = self._synthesise(known, (0, 0, height, width), coded_as)
        return [payload for payload, _ in coded], _array(seen, coded_as.depth)

    @torch.inference_mode()
    def estimate_bits(self, pixels: Pixels | Tensor, level: int, tile: int) -> float:
        """Return the bits that training would reckon for these tiles, rounded latents.

        Arguments and errors are those of `encode_tiles`.
        """
        where = self._where(level)
        found = self._latents(pixels, level, tile)
        return sum(float(estimate(self.model, z_y, where, nearest)[1]) for z_y in found)

    def _latents(
        self,
        pixels: Pixels | Tensor,
        level: int,
        tile: int,
        effort: int = 0,
        kept: Kept | None = None,
    ) -> Iterator[Latents]:
        """Analyse an image; yields what is coded, tile by tile in raster order."""
        image = _image(pixels)
        _check(level, tile, image.shape[2], image.shape[1], effort)
        where = self._where(level)
        height, width = self._padded(*image.shape[1:])
        step = self.model.pixels
        margin = self.model.halo * step if effort else 0
        # As many rows of tiles at once as fill a block, so that small tiles share its halo.
        band = up(BLOCK, tile) if tile else height
        for upper in range(0, height, band):
            rows = upper, 0, min(upper + band, height), width
            seen = grow(rows, margin, height, width)
            y = self._analyse_near(image, level, seen[0], seen[2], kept)
            for box in boxes(rows[2] - upper, width, tile):
                here = shift(box, shift(seen, rows))
                with torch.inference_mode(), self._full():
                    latents = self.model.latents(window(y, here, step).contiguous(), where)
                if effort:
                    around = grow(here, margin, seen[2] - seen[0], width)
                    scene = window(y, around, step), shift(here, around)
                    x = window(image[None, :, upper : rows[2]], box, 1).to(self.device)
                    with self._full():
                        latents = refine(self.model, latents, _real(x), *scene, level, effort)
                yield latents

    def decode_latents(
        self, payloads: Sequence[bytes | None], width: int, height: int, level: int, tile: int
    ) -> list[dict[str, Tensor] | None]:
        """Return each tile's dequantised latents (1/16 of a step), exact on every machine.

        Raises StreamError if a payload is malformed or their number is not the grid's.
        """
        return [found for _, found in self._tiles(payloads, width, height, level, tile)]

    def _tiles(
        self,
        payloads: Sequence[bytes | None],
        width: int,
        height: int,
        level: int,
        tile: int,
        within: Box | None = None,
        on_tile: Callable[[], object] | None = None,
    ) -> Iterator[tuple[Box, dict[str, Tensor] | None]]:
        """Decode the tiles that meet a box, or all; boxes are in pixels of the padded image."""
        _check(level, tile, width, height)
        count = -(-width // (tile or width)) * -(-height // (tile or height))
        if len(payloads) != count:
            raise StreamError(f"tiles: found {len(payloads)}, allowed is {count}")
        for payload, box in zip(payloads, boxes(*self._padded(height, width), tile), strict=True):
            if within is not None and meet(box, within) is None:
                continue
            shapes = self.model.shapes(box[2] - box[0], box[3] - box[1])
            latents = None
            if payload is not None:
                latents = coding.decode(self.model, payload, shapes, level)
            yield box, latents
            if on_tile:
                on_tile()

    def decode_tiles(
        self,
        payloads: Sequence[bytes | None],
        width: int,
        height: int,
        level: int,
        tile: int,
        region: Box | None = None,
        depth: int = 8,
        on_tile: Callable[[], object] | None = None,
    ) -> Pixels:
        """Return the image, uint8 or uint16 (H, W, 3); a payload of None gives a grey tile.

        With `region` (top, left, bottom, right, in pixels, inside the image) return that part
        alone, bit by bit what the whole image would hold up to the tolerance of the synthesis.
        Only the payloads of tiles that `near` names are looked at; `on_tile` is called after each.
        Raises ValueError if level or tile is out of its range, StreamError as `decode_latents`.
        """
        coded = Coded(payloads, width, height, level, tile, depth)
        return _array(self.decode_tensor(coded, region, on_tile), depth)

    def decode_tensor(
        self,
        coded: Coded,
        region: Box | None = None,
        on_tile: Callable[[], object] | None = None,
    ) -> Tensor:
        """Return the image, or a region of it, on this codec's device.

        uint8 (3, H, W), or int32 if the depth is 16. Errors are those of `decode_tiles`.
        """
        region = region or (0, 0, coded.height, coded.width)
        near = self.near(region, coded.height, coded.width)
        found = self._tiles(*coded[:5], within=near, on_tile=on_tile)
        return self._synthesise(found, region, coded)

    @torch.inference_mode()
    def decode_batch(self, files: Sequence[Coded]) -> list[Tensor]:
        """Return images as `decode_tensor` does, errors included.

        The latents are decoded file by file; those of images of one size meet in one synthesis.
        """
        sizes: dict[tuple[int, int, int], list[int]] = {}
        for at, coded in enumerate(files):
            sizes.setdefault((coded.height, coded.width, coded.depth), []).append(at)
        out: dict[int, Tensor] = {}
        for (height, width, depth), members in sizes.items():
            whole = (0, 0, *self._padded(height, width))
            most = BLOCK**2 // (whole[2] * whole[3])  # as much memory as one block takes
            if most < 2:
                out |= {at: self.decode_tensor(files[at]) for at in members}
                continue
            for chunk in (members[at : at + most] for at in range(0, len(members), most)):
                lost: list[list[Box]] = [[] for _ in chunk]
                y_hat = torch.cat(
                    [
                        torch.cat(list(self._rows(self._tiles(*files[at][:5]), whole, gone)), 2)
                        for at, gone in zip(chunk, lost, strict=True)
                    ]
                )
                pixels = self._pixels(y_hat, [files[at].level for at in chunk], depth)
                for at, image, gone in zip(chunk, pixels, lost, strict=True):
                    for box in gone:
                        window(image[None], box, 1).fill_(GREY[depth])
                    out[at] = image[:, :height, :width]
        return [out[at] for at in range(len(files))]

    def near(self, region: Box, height: int, width: int) -> Box:
        """Return what a region's pixels depend on: its blocks of 16 pixels and the halo."""
        step = self.model.pixels
        top, left, bottom, right = region
        whole = top // step * step, left // step * step, up(bottom, step), up(right, step)
        return grow(whole, self.model.halo * step, *self._padded(height, width))

    # -- tensors -------------------------------------------------------------------------------

    def encode(self, x: Tensor, quality: float = 75, tile: int = 0, *, effort: int = 0) -> bytes:
        """Code an image (3, H, W) or (1, 3, H, W) in [0, 1] to a raw stream (no container).

        Raises ValueError if an argument is out of its range.
        """
        if x.dim() == 4 and x.shape[0] == 1:
            x = x[0]
        level = level_from_quality(quality)
        payloads = self.encode_tiles(x, level, tile, effort=effort)
        head = _HEAD.pack(x.shape[2], x.shape[1], level, tile // TILE_UNIT)
        return head + b"".join(_LENGTH.pack(len(p)) + p for p in payloads)

    def decode(self, data: bytes) -> Tensor:
        """Return x_hat (1, 3, H, W) in [0, 1], in steps of 1/255, from a raw stream.

        Raises StreamError if the stream is malformed.
        """
        if len(data) < _HEAD.size:
            raise StreamError(f"stream: found {len(data)} bytes, allowed are {_HEAD.size} or more")
        width, height, level, tile = _HEAD.unpack_from(data)
        if not (width and height):
            raise StreamError(f"stream: found {width} x {height} pixels, allowed are 1 or more")
        try:
            _check(level, tile * TILE_UNIT, width, height)
        except ValueError as error:
            raise StreamError(f"stream: {error}") from error
        payloads, at = [], _HEAD.size
        while at < len(data):
            if at + _LENGTH.size > len(data):
                raise StreamError("stream: cut in a length")
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            if at + length > len(data):
                raise StreamError(f"payload: found {len(data) - at} bytes, allowed are {length}")
            payloads.append(data[at : at + length])
            at += length
        pixels = self.decode_tensor(Coded(payloads, width, height, level, tile * TILE_UNIT))
        return pixels[None].float() / 255

    # -- transforms, block by block ------------------------------------------------------------

    def _where(self, *levels: int) -> Tensor:
        """Levels (B,) as the transforms take them."""
        return torch.tensor(levels, dtype=torch.float32, device=self.device)

    def _full(self) -> torch.autocast:
        """Run in full precision, even inside a caller's autocast."""
        return torch.autocast(self.device.type, enabled=False)

    def _padded(self, height: int, width: int) -> tuple[int, int]:
        stride = self.model.stride
        return up(height, stride), up(width, stride)

    @torch.inference_mode()
    def _analyse(self, image: Tensor, level: int, upper: int = 0, lower: int = 0) -> Tensor:
        """y (1, M, (lower - upper) / 16, W / 16) of rows of an image (3, h, w); of all by default.

        The image is padded by repeating its edge.
        """
        height, width = self._padded(*image.shape[1:])
        lower = lower or height
        step = self.model.pixels
        where = self._where(level)
        y = torch.empty(0)
        for box in boxes(lower - upper, width, BLOCK):
            box = upper + box[0], box[1], upper + box[2], box[3]
            around = grow(box, self.model.halo * step, height, width)
            rows = torch.arange(around[0], around[2], device=image.device)
            columns = torch.arange(around[1], around[3], device=image.device)
            rows.clamp_max_(image.shape[1] - 1)
            columns.clamp_max_(image.shape[2] - 1)
            x = image[:, rows[:, None], columns[None]].to(self.device)
            x = _real(x[None]).contiguous(memory_format=torch.channels_last)
            with self._full():
                part = self.model.analyse(x, where)
            if not y.numel():
                size = (lower - upper) // step, width // step
                y = part.new_empty(1, part.shape[1], *size)
            inner = within(part, box, around, step)
            target = shift(box, (upper, 0, lower, width))
            window(y, target, step).copy_(inner)
        return y

    @torch.inference_mode()
    def _analyse_near(
        self, image: Tensor, level: int, upper: int, lower: int, kept: Kept | None
    ) -> Tensor:
        """`_analyse`, or what has been kept of it at a level nearby."""
        if kept is None or image[0].numel() > TILE_PIXELS_MAX:  # keeping it would take memory
            return self._analyse(image, level, upper, lower)
        if upper in kept and abs(kept[upper][0] - level) <= REUSE:
            before, y = kept[upper]
            return self.model.regain(y, self._where(before), self._where(level))
        kept[upper] = level, self._analyse(image, level, upper, lower)
        return kept[upper][1]

    @torch.inference_mode()
    def _synthesise(
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
        rows, columns = (near[2] - near[0]) // step, (near[3] - near[1]) // step
        lost: list[Box] = []
        pixels, held, first = torch.empty(0), torch.empty(0), 0
        waiting = boxes(rows, columns, BLOCK // step)
        box = next(waiting, None)
        for row in self._rows(found, near, lost):
            held = torch.cat([held, row], 2) if held.numel() else row
            if not pixels.numel():  # a tile was good: now the claimed size may cost memory
                kind = torch.uint8 if coded.depth == 8 else torch.int32
                size = rows * step, columns * step, 3
                pixels = torch.empty(size, dtype=kind, device=self.device).permute(2, 0, 1)
            while box is not None and first + held.shape[2] >= min(box[2] + halo, rows):
                around = grow(box, halo, rows, columns)
                part = held[:, :, around[0] - first : around[2] - first, around[1] : around[3]]
                out = self._pixels(part, [coded.level], coded.depth)
                inner = within(out, box, around, 1, step)
                window(pixels[None], box, 1, step).copy_(inner)
                done, box = box, next(waiting, None)
                if box is not None and box[0] > done[0]:  # the rows above are done with
                    keep = max(box[0] - halo, first)
                    held, first = held[:, :, keep - first :], keep
        for each in lost:
            window(pixels[None], shift(each, near), 1).fill_(GREY[coded.depth])
        return window(pixels[None], shift(region, near), 1)[0]

    def _rows(
        self, found: Iterable[tuple[Box, Latents | None]], near: Box, lost: list[Box]
    ) -> Iterator[Tensor]:
        """y_hat (1, M, h, columns) within a box of pixels, one row of tiles after another.

        Parts that are lost are zero, and appended to `lost`.
        """
        step = self.model.pixels
        channels, _, columns = self.model.shapes(near[2] - near[0], near[3] - near[1])["y"]
        for _, tiles in groupby(found, key=lambda each: each[0][0]):
            y_hat = torch.empty(0)
            for box, latents in tiles:
                inner = meet(box, near)
                assert inner is not None
                if not y_hat.numel():
                    size = (inner[2] - inner[0]) // step, columns
                    y_hat = torch.zeros(1, channels, *size, dtype=torch.float32, device=self.device)
                if latents is None:
                    lost.append(inner)
                    continue
                y = window(latents["y"], shift(inner, box), step)
                row = inner[0], near[1], inner[2], near[3]
                window(y_hat, shift(inner, row), step).copy_(y / UNIT)
            yield y_hat

    def _pixels(self, y_hat: Tensor, levels: Sequence[int], depth: int) -> Tensor:
        """Pixels (B, 3, 16 h, 16 w) of y_hat (B, M, h, w), one level each; int32 at depth 16."""
        where = self._where(*levels)
        y_hat = y_hat.contiguous(memory_format=torch.channels_last)
        with self._full():
            x_hat = self.model.synthesise(y_hat, where)
        x_hat = x_hat.clamp_(0, 1).mul_(2**depth - 1).round_()
        return x_hat.to(torch.uint8 if depth == 8 else torch.int32)


def _array(pixels: Tensor, depth: int) -> Pixels:
    """Return (3, H, W) as an array (H, W, 3)."""
    out: Pixels = pixels.permute(1, 2, 0).cpu().numpy()
    return out if depth == 8 else out.astype(np.uint16)


def _real(x: Tensor) -> Tensor:
    """Return samples in [0, 1] as float."""
    return x.float() / WHITE[x.dtype] if x.dtype in WHITE else x.float()


def _image(pixels: Pixels | Tensor) -> Tensor:
    """Check an image and return it as (3, H, W): uint8, int32 of 16 bits, or float."""
    if isinstance(pixels, Tensor):
        image = pixels
        good = image.dim() == 3 and image.shape[0] == 3 and image.is_floating_point()
    else:
        good = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype in (np.uint8, np.uint16)
        wide = np.int32 if pixels.dtype == np.uint16 else pixels.dtype
        image = torch.from_numpy(np.require(pixels, wide, requirements=["C", "W"]))
        image = image.permute(2, 0, 1) if good else image
    if not good or 0 in image.shape:
        found = f"{tuple(pixels.shape)} {pixels.dtype}"
        allowed = "uint8 or uint16 (H, W, 3) or float (3, H, W)"
        raise ValueError(f"image: found {found}, allowed are {allowed}")
    return image


def _check(level: int, tile: int, width: int, height: int, effort: int = 0) -> None:
    if not 0 <= effort <= EFFORT_MAX:
        raise ValueError(f"effort: found {effort}, allowed is 0 to {EFFORT_MAX}")
    if not LEVEL_MIN <= level <= LEVEL_MAX:
        raise ValueError(f"level: found {level}, allowed is {LEVEL_MIN} to {LEVEL_MAX}")
    if tile % TILE_UNIT or not 0 <= tile <= 255 * TILE_UNIT:
        raise ValueError(f"tile: found {tile}, allowed are multiples of 64 from 0 to 16320")
    area = min(tile or width, width) * min(tile or height, height)
    if area > TILE_PIXELS_MAX:
        raise ValueError(f"tile: found {area} pixels, allowed are {TILE_PIXELS_MAX} in a tile")


@lru_cache(maxsize=8)
def _load(found: weights.Found, device: torch.device) -> Codec:
    return Codec(weights.load(found, device), found.fingerprint, device)


def load(name: str | int, device: str = "auto", fingerprint: bytes | None = None) -> Codec:
    """Return the codec of a model name or id, with those weights or the newest installed.

    Raises UnknownModel, WeightsNotFound or WeightsError.
    """
    found = weights.find(registry.model_name(name), fingerprint)
    return _load(found, choose(device))
