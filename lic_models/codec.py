"""Pixels to coded tiles and back.

A large image is cut into tiles whose symbols are coded independently.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor

from . import coding, registry, weights
from .base import Latents, Model
from .boxes import Box, boxes, up, window
from .coded import Coded, check, pack, unpack
from .device import choose
from .entropy import estimate, nearest
from .errors import StreamError
from .levels import level_from_quality
from .pixels import Pixels, as_array, as_tensor, real
from .refine import EFFORT_MAX, NEAR, refine
from .transforms import Kept, Transforms
from .tunes import PLAIN, known

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Codec", "Coded", "load"]


class How(TypedDict, total=False):
    """What encoding may be told; None is what `Codec.encode_tiles` says of it."""

    effort: int | None
    tune: str | None
    kept: Kept | None


class Codec:
    """A model with its weights, ready to code.

    Attributes:
        name, model_id: of the model. fingerprint: 8 bytes, of the weights.
        tune: what the weights were trained for, "psnr" or "ms-ssim".
    """

    def __init__(
        self, model: Model, fingerprint: bytes, device: torch.device, tune: str = PLAIN
    ) -> None:
        self.model, self.fingerprint, self.device, self.tune = model, fingerprint, device, tune
        self.name, self.model_id = model.name, model.model_id
        self.transforms = Transforms(model, device)

    # -- tiles: what the file format stores ----------------------------------------------------

    def encode_tiles(
        self,
        pixels: Pixels | Tensor,
        level: int,
        tile: int,
        on_tile: Callable[[], object] | None = None,
        **how: Unpack[How],
    ) -> list[bytes]:
        """Code an image: uint8 or uint16 (H, W, 3), or float (3, H, W) in [0, 1].

        `level` is 100 * quality, `tile` the edge of a tile in pixels, a multiple of 64, or 0 for
        one tile. Returns the payloads in raster order; `on_tile` is called after each. An `effort`
        above 0, up to 9, takes 2 to 512 gradient steps on each tile's latents, by rate and what
        `tune` names, squared error ("psnr") or "ms-ssim"; None is what the weights were trained
        for, and another needs such an effort, of which None is the least. Calls for one image that
        pass the same `kept`, empty at first, share analyses at levels close to each other.
        Raises ValueError if an argument is out of its range.
        """
        image = as_tensor(pixels)
        coded = self._coded(image, level, tile, on_tile, **how)
        return [payload for payload, _ in coded]

    def encode_seen(
        self,
        pixels: Pixels | Tensor,
        level: int,
        tile: int,
        on_tile: Callable[[], object] | None = None,
        **how: Unpack[How],
    ) -> tuple[list[bytes], Pixels]:
        """Return what `encode_tiles` does and what `decode_tiles` makes of it, in less time.

        Arguments and errors are those of `encode_tiles`; the pixels are (H, W, 3), uint8, or
        uint16 if those that came were.
        """
        image = as_tensor(pixels)
        coded = list(self._coded(image, level, tile, on_tile, **how))
        height, width = image.shape[1:]
        payloads = [payload for payload, _ in coded]
        depth = 16 if image.dtype == torch.int32 else 8
        as_coded = Coded(payloads, width, height, level, tile, depth)
        cut = boxes(*self.transforms.padded(height, width), tile)
        known = zip(cut, (latents for _, latents in coded), strict=True)
        seen = self.transforms.synthesise(known, Box(0, 0, height, width), as_coded)
        return payloads, as_array(seen, depth)

    def _coded(
        self,
        image: Tensor,
        level: int,
        tile: int,
        on_tile: Callable[[], object] | None,
        **how: Unpack[How],
    ) -> Iterator[tuple[bytes, dict[str, Tensor]]]:
        """Yield payloads and what their latents are when decoded, tile by tile."""
        for latents in self.latents(image, level, tile, **how):
            yield coding.encode(self.model, latents, level)
            if on_tile:
                on_tile()

    @torch.inference_mode()
    def estimate_bits(self, pixels: Pixels | Tensor, level: int, tile: int = 0) -> float:
        """Return the bits that training would reckon for these tiles, rounded latents.

        Arguments and errors are those of `encode_tiles`.
        """
        where = self.transforms.where(level)
        found = self.latents(as_tensor(pixels), level, tile)
        return sum(float(estimate(self.model, z_y, where, nearest)[1]) for z_y in found)

    def latents(
        self,
        image: Tensor,
        level: int,
        tile: int,
        effort: int | None = None,
        kept: Kept | None = None,
        tune: str | None = None,
    ) -> Iterator[Latents]:
        """Analyse what `as_tensor` returned; yields what is coded, tile by tile in raster order."""
        check(level, tile, image.shape[2], image.shape[1])
        effort, tune = self._served(effort, tune)
        where = self.transforms.where(level)
        height, width = self.transforms.padded(*image.shape[1:])
        step = self.model.pixels
        margin = NEAR * step if effort else 0
        # As many rows of tiles at once as fill a block, so that small tiles share its halo.
        band = up(self.transforms.block, tile) if tile else height
        for upper in range(0, height, band):
            rows = Box(upper, 0, min(upper + band, height), width)
            seen = rows.grow(margin, height, width)
            y = self.transforms.analyse_near(image, level, seen.top, seen.bottom, kept)
            for box in boxes(rows.height, width, tile):
                here = box.move(upper - seen.top, 0)
                with torch.inference_mode(), self.transforms.full():
                    latents = self.model.latents(window(y, here, step).contiguous(), where)
                if effort:
                    around = here.grow(margin, seen.height, width)
                    scene = window(y, around, step), here.seen_from(around)
                    x = window(image[None, :, upper:], box, 1).to(self.device)
                    with self.transforms.full():
                        latents = refine(
                            self.model, latents, real(x), *scene, level, effort, tune, self.tune
                        )
                yield latents

    def _served(self, effort: int | None, tune: str | None) -> tuple[int, str]:
        """Fill in what was not given; raises ValueError for what is not allowed."""
        tune = self.tune if tune is None else known(tune)
        least = int(tune != self.tune)
        effort = least if effort is None else effort
        if not least <= effort <= EFFORT_MAX:
            among = f" with tune {tune!r} and weights for {self.tune!r}" if least else ""
            raise ValueError(f"effort: found {effort}{among}, allowed is {least} to {EFFORT_MAX}")
        return effort, tune

    def decode_latents(self, coded: Coded) -> list[dict[str, Tensor] | None]:
        """Return each tile's dequantised latents (1/16 of a step), exact on every machine.

        None stands for those of a payload that is lost. Raises ValueError if level or tile is out
        of its range, StreamError if a payload is malformed or their number is not the grid's.
        """
        return [found for _, found in self._tiles(coded)]

    def _tiles(
        self,
        coded: Coded,
        within: Box | None = None,
        on_tile: Callable[[], object] | None = None,
    ) -> Iterator[tuple[Box, dict[str, Tensor] | None]]:
        """Decode the tiles that meet a box, or all; boxes are in pixels of the padded image."""
        payloads, width, height, level, tile, _ = coded
        check(level, tile, width, height)
        columns = -(-width // (tile or width))
        count = columns * -(-height // (tile or height))
        if len(payloads) != count:
            raise StreamError(f"tiles: found {len(payloads)}, allowed is {count}")
        for box in boxes(*self.transforms.padded(height, width), tile, within):
            payload = payloads[box.top // tile * columns + box.left // tile if tile else 0]
            shapes = self.model.shapes(box.height, box.width)
            latents = None
            if payload is not None:
                latents = coding.decode(self.model, payload, shapes, level)
            yield box, latents
            if on_tile:
                on_tile()

    def decode_tiles(
        self,
        coded: Coded,
        region: tuple[int, int, int, int] | None = None,
        on_tile: Callable[[], object] | None = None,
    ) -> Pixels:
        """Return the image, uint8 or uint16 (H, W, 3); a payload of None gives a grey tile.

        With `region` (top, left, bottom, right, in pixels, inside the image) return that part
        alone, bit by bit what the whole image would hold up to the tolerance of the synthesis.
        Only the payloads of tiles within the halo are looked at; `on_tile` is called after each.
        Errors are those of `decode_latents`.
        """
        return as_array(self.decode_tensor(coded, region, on_tile), coded.depth)

    def decode_tensor(
        self,
        coded: Coded,
        region: tuple[int, int, int, int] | None = None,
        on_tile: Callable[[], object] | None = None,
    ) -> Tensor:
        """Return what `decode_tiles` does, on this codec's device.

        uint8 (3, H, W), or int32 if the depth is 16. Errors are those of `decode_latents`.
        """
        box = Box(*(region or (0, 0, coded.height, coded.width)))
        near = self.transforms.near(box, coded.height, coded.width)
        found = self._tiles(coded, near, on_tile)
        return self.transforms.synthesise(found, box, coded)

    @torch.inference_mode()
    def decode_batch(self, files: Sequence[Coded]) -> list[Tensor]:
        """Return images as `decode_tensor` does, errors included.

        The latents are decoded file by file; those of images of one size meet in one synthesis.
        """
        sizes: dict[tuple[int, int, int], list[int]] = {}
        for at, coded in enumerate(files):
            sizes.setdefault((coded.height, coded.width, coded.depth), []).append(at)
        out: dict[int, Tensor] = {}
        for (height, width, _), members in sizes.items():
            most = self.transforms.at_once(height, width)
            for chunk in (members[at : at + most] for at in range(0, len(members), most)):
                if most == 1:
                    out[chunk[0]] = self.decode_tensor(files[chunk[0]])
                    continue
                found = [self._tiles(files[at]) for at in chunk]
                images = self.transforms.synthesise_batch(found, [files[at] for at in chunk])
                out |= zip(chunk, images, strict=True)
        return [out[at] for at in range(len(files))]

    # -- tensors -------------------------------------------------------------------------------

    def encode(
        self,
        x: Tensor,
        quality: float = 75,
        tile: int = 0,
        *,
        effort: int | None = None,
        tune: str | None = None,
    ) -> bytes:
        """Code an image (3, H, W) or (1, 3, H, W) in [0, 1] to a raw stream (no container).

        Raises ValueError if an argument is out of its range.
        """
        if not isinstance(x, Tensor):
            raise ValueError(f"x: found {type(x).__name__}, allowed is a tensor")
        if x.dim() == 4 and x.shape[0] == 1:
            x = x[0]
        level = level_from_quality(quality)
        payloads = self.encode_tiles(x, level, tile, effort=effort, tune=tune)
        return pack(Coded(payloads, x.shape[2], x.shape[1], level, tile))

    def decode(self, data: bytes) -> Tensor:
        """Return x_hat (1, 3, H, W) in [0, 1], in steps of 1/255, from a raw stream.

        Raises StreamError if the stream is malformed.
        """
        return self.decode_tensor(unpack(data))[None].float() / 255


_loading: dict[Any, threading.RLock] = {}  # threads that want the same weights wait for one
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_loading.clear)  # whoever held one is not there


@lru_cache(maxsize=16)  # all weights that ship, so that who decodes them in turn loads each once
@torch.inference_mode(False)  # whatever the first caller's mode: gradients pass through weights
def _load(found: weights.Found, device: torch.device) -> Codec:
    return Codec(weights.load(found, device), found.fingerprint, device, found.tune)


def load(
    name: str | int, device: str = "auto", fingerprint: bytes | None = None, tune: str = PLAIN
) -> Codec:
    """Return the codec of a model name or id, with those weights or the newest for a tune.

    All who load it in this process share it, `Image.save` too: to change a model, copy the codec
    (`copy.deepcopy`) or make one anew from `weights.thaw`.
    Raises UnknownModel, WeightsNotFound, WeightsError, or ValueError for another tune or a device
    that is not at hand.
    """
    found, where = weights.find(registry.model_name(name), fingerprint, known(tune)), choose(device)
    with _loading.setdefault((found, where), threading.RLock()):
        return _load(found, where)
