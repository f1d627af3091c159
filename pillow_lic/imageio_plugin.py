"""imageio's plugin: arrays in and out, 16 bits included, on a device of one's choice.

imageio loads this by name when it meets a `.lic` file; `pillow_lic.register()` has told it where.
Errors in a file are `pillow_lic.LicError`, bad arguments ValueError.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import EllipsisType
from typing import Any

import numpy as np
from imageio.core.request import URI_BYTES, InitializationError, Request
from imageio.core.v3_plugin_api import ImageProperties, PluginV3
from PIL import Image

from . import _codec, _modes, _options, _preview, container
from .header import SIGNATURE

__all__ = ["LicPlugin"]

Index = int | EllipsisType | None


class LicPlugin(PluginV3):
    """Reads and writes one `.lic` file."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        if request.mode.io_mode == "r":
            file = request.get_file()
            if file.read(len(SIGNATURE)) != SIGNATURE:
                raise InitializationError("not a .lic file: the signature differs")
            file.seek(0)
            self._header = container.read_header(file)
            self._start = file.tell()
        elif request.extension != ".lic":
            raise InitializationError(f"extension: found {request.extension}, allowed is .lic")

    def read(
        self,
        *,
        index: Index = None,
        region: tuple[int, int, int, int] | None = None,
        device: str = "auto",
    ) -> Any:
        """Return the image, (H, W) or (H, W, 2 to 4), uint8 or uint16.

        `index=...` puts a batch dimension before it; `region` (left, upper, right, lower) reads a
        part; `device` is where networks run: auto, cpu, cuda, ...
        """
        self._check(index)
        file = self._at_parts()
        if region is None:
            parts = container.read_parts(file, self._header)
        else:
            region = _options.inside(region, (self._header.width, self._header.height))
            parts = container.read_some(file, self._header, self._header.near(region))
        found = _codec.decode(self._header, parts, device, region)
        found = found[..., 0] if found.shape[2] == 1 else found
        return found[None] if index is ... else found

    def iter(self, **options: Any) -> Iterator[Any]:
        """Yield the images of the file, which is one."""
        yield self.read(**options)

    def write(self, ndimage: Any, *, is_batch: bool | None = None, **options: Any) -> bytes | None:
        """Write (H, W) or (H, W, 1 to 4), uint8 or uint16, with the options of Pillow's `save`.

        A batch or a list may hold one image. Returns the bytes if that is the target.
        """
        images = list(ndimage) if is_batch or isinstance(ndimage, list | tuple) else [ndimage]
        if len(images) != 1:
            raise OSError(f"cannot write {len(images)} images as LIC: a file holds one")
        pixels = np.asarray(images[0])
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or 0 in pixels.shape:
            shape = np.shape(images[0])
            raise ValueError(f"image: found shape {shape}, allowed are (H, W) and (H, W, 1 to 4)")
        if pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"image: found {pixels.dtype}, allowed are uint8 and uint16")
        size = pixels.shape[1], pixels.shape[0]
        parts = _options.metadata(options, Image.new("RGB", (1, 1)))
        if options.get("preview"):
            small = _modes.narrow(pixels)
            shown = Image.fromarray(small[..., 0] if small.shape[2] == 1 else small)
            if preview := _preview.make(shown, options):
                parts[container.PREVIEW] = preview
        data = _codec.encode(pixels, parts, **_options.encoding(options, size))
        self.request.get_file().write(data)
        return data if self.request._uri_type == URI_BYTES else None

    def properties(self, index: Index = None) -> ImageProperties:
        """Return shape and dtype; decodes nothing."""
        self._check(index)
        head = self._header
        channels = (len(head.mode),) if len(head.mode) > 1 else ()
        shape = (head.height, head.width, *channels)
        batch = index is ...
        return ImageProperties(
            shape=(1, *shape) if batch else shape,
            dtype=np.dtype(f"u{head.depth // 8}"),
            n_images=1 if batch else None,
            is_batch=batch,
        )

    def metadata(self, index: Index = None, exclude_applied: bool = True) -> dict[str, Any]:
        """Return model, quality, bit_depth, and icc_profile, exif and xmp if they are there."""
        self._check(index)
        head = self._header
        found = container.read_metadata(self._at_parts())
        names = {container.METADATA[tag]: data for tag, data in found.items()}
        quality = head.level / 100
        return {"model": head.model_name, "quality": quality, "bit_depth": head.depth, **names}

    def _at_parts(self) -> Any:
        file = self.request.get_file()
        file.seek(self._start)
        return file

    def _check(self, index: Index) -> None:
        if index not in (None, 0, ...):
            raise ValueError(f"index: found {index}, allowed is 0, the file holds one image")
