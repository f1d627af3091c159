"""Tells Pillow about the format without importing what it takes to read it.

`PIL.ImageFile` alone, the base of every plugin, takes as long to import as this package may.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from PIL import Image

from . import _forks, _imageio  # noqa: F401  forks are noted from here on
from .header import SIGNATURE

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["register"]


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE)


def _factory(fp: IO[bytes], filename: str | bytes) -> ImageFile.ImageFile:
    from .LicImagePlugin import LicImageFile

    return LicImageFile(fp, filename)


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    from . import LicImagePlugin

    LicImagePlugin._save(im, fp, filename)


def _save_all(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    from . import LicImagePlugin

    LicImagePlugin._save_all(im, fp, filename)


def register() -> None:
    """Make Pillow know `.lic`, and imageio if it is used; calling it again changes nothing."""
    Image.register_open("LIC", _factory, _accept)
    Image.register_save("LIC", _save)
    Image.register_save_all("LIC", _save_all)
    Image.register_extensions("LIC", [".lic"])
    Image.register_mime("LIC", "image/x-lic")
    _imageio.register()
