"""Any Pillow mode to one of those that a file can hold, or a refusal; never a silent clip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from PIL import Image

from .header import MODES

if TYPE_CHECKING:
    from lic_models.pixels import Pixels

__all__ = ["narrow", "pixels", "storable"]

_TARGETS = {
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
    **{mode: mode for mode in MODES},
}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}


def storable(image: Image.Image) -> Image.Image:
    """Return the image in mode L, LA, RGB, RGBA or I;16 (I;16B on such machines), itself unchanged.

    Raises OSError for a mode, or for values, that 16 bits of grey or 8 bits a channel cannot hold.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _wide_to_grey(image)
    target = _TARGETS.get(image.mode)
    if target is None:
        raise OSError(f"cannot write mode {image.mode} as LIC")
    transparent = _has_transparent_colour(image)
    if transparent or (image.palette and image.palette.mode.endswith("A")):
        target = _WITH_ALPHA.get(target, target)
    if target == image.mode:
        return image
    if image.mode == "P" or "transparency" in image.info:
        image = image.copy()  # Pillow writes transparency into the palette that it converts
        if not transparent:
            image.info.pop("transparency", None)
    try:
        return image.convert(target)
    except ImportError as error:  # LAB needs LittleCMS, which a build of Pillow may lack
        raise OSError(f"cannot write mode {image.mode} as LIC: {error}") from error


def _has_transparent_colour(image: Image.Image) -> bool:
    """Say whether `info["transparency"]` is what Pillow's decoders put there for this mode.

    It need not be: any text chunk of a PNG file ends up in `info` under a name of its own choice.
    """
    value = image.info.get("transparency")

    def sample(each: object) -> bool:
        return type(each) is int and 0 <= each <= 255

    if image.mode in ("1", "L"):
        return sample(value)
    if image.mode == "RGB":
        return isinstance(value, tuple) and len(value) == 3 and all(map(sample, value))
    if image.mode == "P":
        return sample(value) or (isinstance(value, bytes) and 0 < len(value) <= 256)
    return False


def narrow(pixels: Pixels) -> Pixels:
    """Return samples in 8 bits, rounded."""
    import numpy as np

    if pixels.itemsize == 1:
        return pixels
    found: Pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return found


def pixels(images: Iterable[Image.Image]) -> list[Pixels]:
    """Return the samples of images, (H, W, C), uint8 or uint16; raises as `storable` does.

    Numbers without a largest value (modes I and F) stay what they are if one of them needs 16 bits.
    """
    import numpy as np

    found: list[Pixels] = []
    plain: list[int] = []  # where such numbers are
    for image in images:
        if image.mode in ("I", "F"):
            plain.append(len(found))
        stored = storable(image)
        kind = np.uint16 if stored.mode.startswith("I;16") else np.uint8
        samples = np.array(stored, kind).reshape(stored.height, stored.width, -1)
        clear = image.info.get("transparency")
        if image.mode.startswith("I;16") and type(clear) is int:  # the one colour to see through
            opaque = np.where(samples == clear, 0, 65535).astype(np.uint16)
            samples = np.concatenate([samples, opaque], 2)
        found.append(samples)
    if any(found[at].itemsize == 2 for at in plain):
        for at in plain:
            found[at] = found[at].astype(np.uint16)
    return found


def _wide_to_grey(image: Image.Image) -> Image.Image:
    """Return integers or floats, rounded, as I;16 or L: as many bits as the mode or values need."""
    import numpy as np

    values = np.asarray(image)
    rounded = np.rint(values)
    low, high = rounded.min(), rounded.max()
    if high <= 1 and (rounded != values).any():
        raise OSError(
            f"cannot write mode {image.mode} as LIC: found shares of 1, allowed are values to 255 "
            "or 65535"
        )
    if not (low >= 0 and high <= 65535):  # NaN fails as well
        raise OSError(
            f"cannot write mode {image.mode} as LIC: found values from {low:g} to {high:g}, "
            "allowed are 0 to 65535"
        )
    wide = high > 255 or image.mode.startswith("I;16")
    return Image.fromarray(rounded.astype(np.uint16 if wide else np.uint8))
