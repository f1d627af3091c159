"""Learned image compression as a Pillow format: `import pillow_lic`, then open and save `.lic`."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from ._register import register
from .errors import LicError

if TYPE_CHECKING:
    import os

    from .LicImagePlugin import LicImageFile

__all__ = ["LicError", "__version__", "open", "register"]

__version__ = "0.1.0"


def open(fp: str | os.PathLike[str] | IO[bytes], device: str = "auto") -> LicImageFile:
    """Open a `.lic` file as `PIL.Image.open` does, to be decoded on a device of your choice."""
    from PIL import Image

    from .LicImagePlugin import LicImageFile

    image = Image.open(fp, formats=("LIC",))
    assert isinstance(image, LicImageFile)
    image.device = device
    return image


register()
