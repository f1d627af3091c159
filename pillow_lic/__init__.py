"""Learned image compression as a Pillow format: `import pillow_lic`, then open and save `.lic`."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from ._register import register
from ._streams import seekable
from .errors import LicError

if TYPE_CHECKING:
    from .LicImagePlugin import LicImageFile

__all__ = ["LicError", "__version__", "open", "register"]

__version__ = "0.1.0"


def open(
    fp: str | os.PathLike[str] | IO[bytes],
    device: str = "auto",
    region: tuple[int, int, int, int] | None = None,
) -> LicImageFile:
    """Open a `.lic` file as `PIL.Image.open` does, to be decoded on a device of your choice.

    With `region` (left, upper, right, lower) it is the image of that part alone, for which only
    the tiles nearby are read; the limit on decompression bombs then applies to the part,
    and to all of an alpha plane that varies, which is read as a whole.
    Raises OSError: `PIL.UnidentifiedImageError` for a file of another format, or LicError with a
    region; ValueError for a region that is not inside.
    """
    from PIL import Image

    from . import _options
    from .LicImagePlugin import LicImageFile

    if region is None:
        image = Image.open(fp, formats=("LIC",))
        assert isinstance(image, LicImageFile)
    else:
        if not isinstance(fp, (str, bytes, os.PathLike)):  # as Image.open does
            fp = seekable(fp)
            fp.seek(0)
        image = LicImageFile(fp)
        try:
            image.select(region)
            _options.check_size((0, 0, *image.size))
        except BaseException:
            if image._exclusive_fp:  # a caller's own stream stays open
                image.close()
            raise
    image.device = device
    return image


register()
