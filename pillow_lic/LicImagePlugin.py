"""Pillow plugin: opens, decodes and verifies `.lic` files, and saves them.

`_open` reads the header and the metadata parts; the coded pixels stay in the file, and torch
stays unimported, until `load`.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageFile
from PIL._util import DeferredError

from . import _codec, _frames, _modes, _options, _preview, _writing, alpha, container
from .errors import LicError
from .header import worked

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

    from .header import Box

__all__ = ["LicDecoder", "LicImageFile"]


class LicImageFile(ImageFile.ImageFile):
    """An image in a `.lic` file.

    Before the pixels are loaded, `device` may be set to say where, and `on_tile` to a function
    that is called after each tile.
    """

    format = "LIC"
    format_description = "Learned image compression"
    # Class attributes serve unpickled images too, which never see __init__ or _open.
    n_frames = 1
    is_animated = False
    device = "auto"
    on_tile: Callable[[], object] | None = None
    header: container.Header | None = None
    _region: Box | None = None  # what is to be decoded; None for all
    _preview: Image.Image | None = None  # what stands in for the pixels, after `draft`
    _timing: container.Timing | None = None
    _frame = 0
    _lock = threading.RLock()

    def _open(self) -> None:
        assert self.fp is not None
        self._lock = threading.RLock()
        self._start = self.fp.tell()
        self.header = header = container.read_header(self.fp)
        parts_at = self.fp.tell()
        tolerant = ImageFile.LOAD_TRUNCATED_IMAGES
        metadata = container.read_metadata(self.fp, tolerant=tolerant)
        self._size = header.width, header.height
        self._mode = _shown(header)
        self.info["model"] = header.model_name
        self.info["quality"] = header.level / 100
        if header.depth != 8:
            self.info["bit_depth"] = header.depth
        for tag, name in container.METADATA.items():
            if tag in metadata:
                # With the prefix, as from JPEG and PNG: savers that copy it verbatim expect that.
                prefix = _options.EXIF_PREFIX if name == "exif" else b""
                self.info[name] = prefix + metadata[tag]
        if header.sequence:
            self.fp.seek(parts_at)
            self._timing = container.read_timing(self.fp, header)
            assert self._timing is not None
            self._offsets = [self.fp.tell()]
            self.n_frames = len(self._timing.durations)
            self.is_animated = self.n_frames > 1
            self.info["loop"] = self._timing.loop
            self.info["duration"] = self._timing.durations[0]
            if self.is_animated:
                self._fp = self.fp  # what Pillow keeps open, and closes with the image
                self._close_exclusive_fp_after_loading = False
        self._parts_at = parts_at
        self.tile = [ImageFile._Tile("lic", (0, 0, *self.size), parts_at, ())]

    def seek(self, frame: int) -> None:
        """Go to a frame; EOFError if there is none. Frames between are skipped, not decoded."""
        with self._lock:
            if not 0 <= frame < self.n_frames:
                raise EOFError(f"frame: found {frame}, allowed are 0 to {self.n_frames - 1}")
            if frame == self._frame:
                return
            assert self.header is not None
            assert self._timing is not None
            if isinstance(self._fp, DeferredError):
                raise self._fp.ex
            self.fp = self._fp
            self._frame, self._preview = frame, None
            # What a caller has made of the frame before, in place, may have another size and mode.
            self._im, self._mode = None, _shown(self.header)
            whole = 0, 0, self.header.width, self.header.height
            left, upper, right, lower = self._region or whole
            self._size = right - left, lower - upper
            self.info["duration"] = self._timing.durations[frame]
            self.tile = [ImageFile._Tile("lic", (0, 0, *self.size), self._parts_at, ())]

    @property
    def timing(self) -> container.Timing | None:
        """How a sequence plays; None of a still."""
        return self._timing

    def tell(self) -> int:
        """Return the number of the current frame."""
        return self._frame

    def _find_frame(self) -> IO[bytes]:
        """Return the file, at the current frame of a sequence."""
        fp = self._open_file()
        assert self.header is not None
        while len(self._offsets) <= self._frame:
            fp.seek(self._offsets[-1])
            container.skip_frame(fp, self.header)
            self._offsets.append(fp.tell())
        fp.seek(self._offsets[self._frame])
        return fp

    def select(self, region: Box) -> None:
        """Make this the image of a region (left, upper, right, lower), before its pixels are read.

        Only the tiles that the region needs are read and decoded. Raises ValueError unless it is
        inside the image and not empty.
        """
        assert self.header is not None
        if not self.tile or self._preview:
            raise ValueError("region: found an image that is loaded or drafted, allowed is before")
        self._region = _options.inside(region, (self.header.width, self.header.height))
        left, upper, right, lower = self._region
        self._size = right - left, lower - upper
        self.tile = [self.tile[0]._replace(extents=(0, 0, *self.size))]

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Let a preview in the file be the image, if there is one and it fills `size`.

        As for other formats, to be called before the pixels are loaded; `thumbnail` does. Returns
        mode and box, or None if the image stays what it is. `mode` is ignored.
        """
        with self._lock:
            if not self.tile or size is None or self._region or self._preview or self._frame:
                return None
            fp = self._open_file()
            fp.seek(self.tile[0].offset)
            data = container.read_preview(fp)
            preview = _preview.read(data, self.mode) if data else None
            scale = min(asked / side for asked, side in zip(size, self.size, strict=True))
            if preview is None or any(
                there < int(side * scale)
                for there, side in zip(preview.size, self.size, strict=True)
            ):
                return None
            self._preview = preview
            self._size = preview.size
            return self.mode, (0, 0, *preview.size)

    def crop(self, box: tuple[float, float, float, float] | None = None) -> Image.Image:
        """Return a part of the image, as `PIL.Image.Image.crop`.

        Before the pixels are loaded, a part of a tiled image that needs less than half of its
        tiles is decoded alone.
        """
        if box is not None:
            left, upper, right, lower = (round(side) for side in box)
            region = left, upper, right, lower
            with self._lock:
                if self._pays(region):
                    return self._part(region)
        return super().crop(box)

    def _pays(self, region: Box) -> bool:
        """Say whether to decode a part alone."""
        whole = self.header
        if not self.tile or self._region or self._preview or whole is None:
            return False
        if ImageFile.LOAD_TRUNCATED_IMAGES:  # what is lost is found out by reading all
            return False
        if not _options.fits(region, self.size):
            return False
        _options.check_size(region)  # before its tiles are listed
        return 2 * len(whole.near(region)) < whole.tiles

    def _part(self, region: Box) -> Image.Image:
        assert self.header is not None
        parts = self._some(region)
        size = region[2] - region[0], region[3] - region[1]
        data = _decode(self.header, parts, self.device, region)
        image = Image.frombytes(self.mode, size, data)
        image.info = self.info.copy()
        return image

    def load(self) -> PixelAccess | None:
        """Decode the pixels, once, whichever thread asks first."""
        with self._lock:
            if self._preview is not None and self.tile:
                self.im, self.tile = self._preview.im, []
                if self.fp and self._exclusive_fp and self._close_exclusive_fp_after_loading:
                    self.fp.close()  # as Pillow does where it has decoded
                    self.fp = None
            elif self.tile:
                self._read_parts()
            return super().load()

    def _some(self, region: Box) -> container.Parts:
        """Read what a region of the current frame needs."""
        assert self.header is not None
        wanted = self.header.near(region)
        if self.header.sequence:
            return container.read_frame(self._find_frame(), self.header, wanted)
        fp = self._open_file()
        fp.seek(self._parts_at)
        return container.read_some(fp, self.header, wanted)

    def _whole(self) -> container.Parts:
        """Read all of the current frame, and what is whole of it on request."""
        fp = self._open_file()
        assert self.header is not None
        tolerant = ImageFile.LOAD_TRUNCATED_IMAGES
        if tolerant:  # missing tiles are listed: let an absurd size fail before that
            Image._decompression_bomb_check((self.header.width, self.header.height))
            self.load_prepare()
        if not self.header.sequence:
            fp.seek(self._parts_at)
            read = container.salvage_parts if tolerant else container.read_parts
            return read(fp, self.header)
        try:
            read = container.salvage_parts if tolerant else container.read_frame
            return read(self._find_frame(), self.header)
        except LicError:
            if not tolerant:
                raise
            return container.Parts({}, None, [None] * self.header.tiles)  # no way to the frame

    def _read_parts(self) -> None:
        """Read and check all parts before Pillow allocates pixels for what the header claims."""
        if self._region is None and worked(self.size) != self.size:  # Pillow has seen the size
            _options.check_size((0, 0, *self.size))
        if self._region is None or ImageFile.LOAD_TRUNCATED_IMAGES:
            parts = self._whole()
        else:
            parts = self._some(self._region)
        args = (self.header, parts, self.device, self._region, self.on_tile)
        self.tile = [self.tile[0]._replace(args=args)]

    def _ensure_mutable(self) -> None:
        """Let Pillow save an image over its own file: later frames are read as they are written."""
        with self._lock:
            held = self._fp if self.is_animated else None
            # What a caller has opened nobody writes to by name; a copy is made once, and after
            # `close` there is nothing to copy, nor any frame to come.
            done = isinstance(held, io.BytesIO | DeferredError)
            if held is not None and self._exclusive_fp and not done:
                held.seek(0)
                self._fp = io.BytesIO(held.read())
                self.fp = self._fp if self.fp is held else self.fp
                held.close()
        super()._ensure_mutable()

    def load_seek(self, pos: int) -> None:
        """Tell Pillow that the file is needed: without this, `Parser` decodes without one."""
        self._open_file().seek(pos)

    def verify(self) -> None:
        """Check structure and checksums to the last byte, and alpha; runs no network.

        Like every `verify`, it needs a freshly opened image, which must be reopened afterwards.
        """
        with self._lock:
            fp = self._open_file()
            try:
                fp.seek(self._start)
                header = container.read_header(fp)
                for parts in container.read_frames(fp, header):
                    if parts.alpha is not None:
                        alpha.check(parts.alpha, header.width, header.height, header.depth)
            finally:
                super().verify()

    def _open_file(self) -> IO[bytes]:
        if self.fp is None:
            raise ValueError("the file of this image is closed, or was closed by load or verify")
        return self.fp


def _shown(header: container.Header) -> str:
    """Return the Pillow mode of a file: 16 bits exist for grey only, the rest is shown in 8."""
    return "I;16" if (header.mode, header.depth) == ("L", 16) else header.mode


def _decode(
    header: container.Header,
    parts: container.Parts,
    device: str,
    region: Box | None,
    on_tile: Callable[[], object] | None = None,
) -> bytes:
    """Return raw pixels; really a view of an array, because large images allow for no copy."""
    import numpy as np

    depth = 16 if _shown(header) == "I;16" else 8
    pixels = _codec.decode(header, parts, device, region, depth, on_tile)
    whole: Any = np.require(pixels, "<u2" if depth == 16 else "u1", "C")
    return memoryview(whole).cast("B")  # type: ignore[return-value]


class LicDecoder(ImageFile.PyDecoder):
    """Decodes parts that `LicImageFile` has read."""

    _pulls_fd = True  # so decode is called once

    def decode(self, buffer: Image.DecoderInput) -> tuple[int, int]:
        """Fill the image; the buffer is empty."""
        self.set_as_raw(_decode(*self.args))
        return -1, 0


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    _write([im], _options_of(im), fp)


def _save_all(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    options = _options_of(im)
    _write(_frames.each([im, *(options.get("append_images") or ())]), options, fp)


def _options_of(im: Image.Image) -> dict[str, Any]:
    """Take the options of this save off the image: they would stand before those of another
    thread that saves it meanwhile, and stay."""
    options, im.encoderinfo = im.encoderinfo, {}
    return options


def _write(frames: Iterable[Image.Image], options: dict[str, Any], fp: IO[bytes]) -> None:
    """Write frames; size, metadata and preview are those of the first."""
    metadata: dict[str, bytes] = {}

    def checked() -> Iterator[Image.Image]:
        for number, frame in enumerate(frames):
            for name, side in (("width", frame.width), ("height", frame.height)):
                if not side:
                    raise ValueError(f"{name}: found 0, allowed is at least 1")
            if not number:
                metadata.update(_options.metadata(options, frame))
            yield frame

    pixels = _modes.pixels(checked())
    channels = [each.shape[2] for each in pixels]
    if channels[0] < 3 <= max(channels) and "icc_profile" not in options:
        metadata.pop("i", None)  # a grey frame's does not describe what it becomes among others
    data = _writing.file_of(pixels, metadata, options)
    fp.write(data)  # all at once: a save that fails has written nothing


Image.register_decoder("lic", LicDecoder)
