"""imageio's plugin: arrays in and out, 16 bits included, on a device of one's choice.

imageio loads this by name when it meets a `.lic` file; `pillow_lic.register()` has told it where.
Errors in a file are `pillow_lic.LicError`, bad arguments ValueError; Pillow's limit on
decompression bombs holds.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Collection, Iterator
from types import EllipsisType
from typing import IO, Any, SupportsIndex

import numpy as np
from imageio.core.request import URI_BYTES, URI_HTTP, InitializationError, Request
from imageio.core.v3_plugin_api import ImageProperties, PluginV3
from PIL import Image

from . import _codec, _options, _writing, container
from ._streams import seekable
from .header import SIGNATURE, Box

__all__ = ["LicPlugin"]

Index = SupportsIndex | EllipsisType | None


class LicPlugin(PluginV3):
    """Reads and writes one `.lic` file."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._written = False
        if request.mode.io_mode == "r":
            self._file = file = _seekable(request)
            if file.read(len(SIGNATURE)) != SIGNATURE:
                file.seek(0)
                raise InitializationError("not a .lic file: the signature differs")
            file.seek(0)
            self._header = container.read_header(file)
            self._start = file.tell()
            self._timing = container.read_timing(file, self._header)
            self._first = file.tell()
        elif request.extension != ".lic":
            raise InitializationError(f"extension: found {request.extension}, allowed is .lic")

    def read(
        self,
        *,
        index: Index = None,
        region: tuple[int, int, int, int] | None = None,
        device: str = "auto",
    ) -> Any:
        """Return an image, (H, W) or (H, W, 2 to 4), uint8 or uint16.

        `index=...` returns all of a sequence, as a batch, to which the limit on decompression bombs
        applies as a whole; None is that for a sequence, and the image itself for a still.
        `region` (left, upper, right, lower) reads a part; `device` is where networks run: auto,
        cpu, cuda, ...
        """
        if index is ... or (index is None and self._timing):
            _options.check_size(self._where(region), self._count)
            return np.stack(list(self.iter(region=region, device=device)))
        return next(self._from(self._frame(index), region, device))

    def iter(
        self, *, region: tuple[int, int, int, int] | None = None, device: str = "auto"
    ) -> Iterator[Any]:
        """Yield the images one after another, decoding each when it is asked for."""
        yield from self._from(0, region, device)

    def _from(self, frame: int, region: object, device: str) -> Iterator[Any]:
        """Yield images from a frame on; other readers may move the file in between."""
        head, file = self._header, self._file
        box = self._where(region)
        _options.check_size(box)
        file.seek(self._start)
        if frame or region is not None:
            every = self._parts(frame, None if region is None else head.near(box))
        elif self._timing:
            every = container.read_frames(file, head)
        else:
            every = iter([container.read_parts(file, head)])
        for parts in every:
            here = file.tell()
            found = _codec.decode(head, parts, device, box)
            yield found[..., 0] if found.shape[2] == 1 else found
            file.seek(here)

    def _where(self, region: object) -> Box:
        """Return what a region asks for, or where the whole is."""
        size = self._header.width, self._header.height
        return (0, 0, *size) if region is None else _options.inside(region, size)

    def _parts(self, frame: int, wanted: Collection[int] | None) -> Iterator[container.Parts]:
        """Read frames from one on, or some tiles of them, and leave the rest unchecked."""
        file = self._file
        file.seek(self._first)
        for _ in range(frame):
            container.skip_frame(file, self._header)
        for _ in range(frame, self._count):
            yield container.read_frame(file, self._header, wanted)

    @property
    def _count(self) -> int:
        return len(self._timing.durations) if self._timing else 1

    def write(self, ndimage: Any, *, is_batch: bool | None = None, **options: Any) -> bytes | None:
        """Write (H, W) or (H, W, 1 to 4), uint8 or uint16, with the options of Pillow's `save`.

        A batch, a list or an array (N, H, W, C) becomes a sequence, unless N is 1; `is_batch=True`
        says so of (N, H, W), and `fps` can stand for a `duration` of 1000 / fps. Returns the bytes
        if that is the target. Frames come all at once: a second call raises ValueError.
        """
        if self._written:
            raise ValueError("write: found a second image, allowed is one list of all frames")
        many = is_batch or isinstance(ndimage, list | tuple) or np.ndim(ndimage) > 3
        frames = [_checked(image) for image in (ndimage if many else [ndimage])]
        if not frames:
            raise ValueError("images: found none, allowed is at least one")
        if (fps := options.pop("fps", None)) is not None:
            options.setdefault("duration", _duration(fps))
        metadata = _options.metadata(options, Image.new("RGB", (1, 1)))
        data = _writing.file_of(frames, metadata, options)
        self.request.get_file().write(data)
        self._written = True
        return data if self.request._uri_type == URI_BYTES else None

    def properties(self, index: Index = None) -> ImageProperties:
        """Return shape and dtype; decodes nothing."""
        head = self._header
        channels = (len(head.mode),) if len(head.mode) > 1 else ()
        shape = (head.height, head.width, *channels)
        batch = index is ... or (index is None and self._timing is not None)
        if not batch:
            self._frame(index)
        return ImageProperties(
            shape=(self._count, *shape) if batch else shape,
            dtype=np.dtype(f"u{head.depth // 8}"),
            n_images=self._count if batch else None,
            is_batch=batch,
        )

    def metadata(self, index: Index = None, exclude_applied: bool = True) -> dict[str, Any]:
        """Return model, quality, bit_depth, and icc_profile, exif and xmp if they are there.

        Of a sequence also loop, n_images and duration: of the frame at `index`, or all.
        """
        head, timing = self._header, self._timing
        file = self._file
        file.seek(self._start)
        names = {container.METADATA[k]: v for k, v in container.read_metadata(file).items()}
        found: dict[str, Any] = {
            "model": head.model_name,
            "quality": head.level / 100,
            "bit_depth": head.depth,
        }
        if timing:
            alone = index is not None and index is not ...
            durations = timing.durations
            found |= {
                "loop": timing.loop,
                "n_images": self._count,
                "duration": durations[self._frame(index)] if alone else list(durations),
            }
        return found | names

    def _frame(self, index: Any) -> int:
        try:
            frame = 0 if index is None else operator.index(index)  # NumPy's integers, too
        except TypeError:
            frame = -1
        if not 0 <= frame < self._count:
            raise ValueError(f"index: found {index!r}, allowed is 0 to {self._count - 1}")
        return frame


def _seekable(request: Request) -> IO[bytes]:
    """Return what to read, seekable; raise InitializationError where looking would spend it."""
    if request._uri_type == URI_HTTP and request.extension != ".lic":  # others would ask again
        raise InitializationError("extension: found none of ours in a URL, allowed is .lic")
    file: IO[bytes] = request.get_file()
    found = seekable(file) if request.extension == ".lic" else file
    try:
        found.seek(0)
    except (AttributeError, OSError) as error:  # for others to read, who come after
        raise InitializationError("a stream that does not seek, of an unknown format") from error
    return found


def _duration(fps: object) -> float:
    """Return the milliseconds of a frame, where there are so many in a second."""
    good = isinstance(fps, numbers.Real) and not isinstance(fps, bool)
    if not good or not fps > 0:  # type: ignore[operator]
        raise ValueError(f"fps: found {fps!r}, allowed are numbers above 0")
    return 1000 / float(fps)  # type: ignore[arg-type]


def _checked(image: Any) -> Any:
    """Return an array (H, W, C) that a file can hold."""
    pixels = np.asarray(image)
    shape = pixels.shape
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or 0 in pixels.shape:
        raise ValueError(f"image: found shape {shape}, allowed are (H, W) and (H, W, 1 to 4)")
    if pixels.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ValueError(f"image: found {pixels.dtype}, allowed are uint8 and uint16")
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
