"""MozJPEG as a format that Pillow writes; it reads the files as any JPEG.

Pillow is not built with it, but libvips is, as `pyvips-binary` has it. Importing this registers
the format; it raises ImportError if this libvips has another JPEG library.
"""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import pyvips
from PIL import Image

__all__ = ["FORMAT"]

FORMAT = "MOZJPEG"


def _coded(pixels: Any, **options: Any) -> bytes:
    """Code uint8 (H, W, 3) with options of libvips' `jpegsave`."""
    found: bytes = pyvips.Image.new_from_array(pixels).jpegsave_buffer(**options)
    return found


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    options = dict(image.encoderinfo)
    quality = options.pop("quality")
    file.write(_coded(np.asarray(image.convert("RGB")), Q=quality, **options))


def _is_mozjpeg() -> bool:
    """Whether trellis quantisation, which other libraries pass over, changes anything."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    return _coded(noise, Q=50) != _coded(noise, Q=50, trellis_quant=True)


if not _is_mozjpeg():
    raise ImportError("this libvips is built without MozJPEG")
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".mozjpeg")
