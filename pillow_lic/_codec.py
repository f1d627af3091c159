"""Parts to pixels, and what whoever calls the networks needs: their errors, a file's codec.

`lic_models` is imported inside the functions, because opening a file must not load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import Image

from . import _forks, alpha
from ._modes import narrow
from .container import Header, Parts
from .errors import LicError, ModelError, PayloadError, UnknownModelError, WeightsNotFoundError

if TYPE_CHECKING:
    from lic_models.codec import Codec, Coded
    from lic_models.pixels import Pixels

    from .header import Box

__all__ = ["calling", "codec_of", "coded", "decode", "grey", "opacity", "translated"]


class _Raised(BaseException):
    """Carries what a caller's own function raised through `translated`."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def calling(on_tile: Callable[[], object] | None) -> Callable[[], object] | None:
    """Return a function that calls another, and whose errors stay what they are."""

    def call() -> None:
        assert on_tile is not None
        try:
            on_tile()
        except BaseException as error:
            raise _Raised(error) from error

    return call if on_tile else None


@contextmanager
def translated(task: str) -> Iterator[None]:
    """Turn what the model package raises into this package's errors.

    The last clause is a net: callers of Pillow are promised that only OSError, ValueError and
    MemoryError leave a load or a save, and torch reports nearly everything as RuntimeError.
    """
    try:
        from lic_models import errors
    except ImportError as error:
        raise ModelError(f"{task} needs the package lic_models: {error}") from error
    _forks.tell()
    try:
        yield
    except _Raised as raised:
        raise raised.error from None
    except errors.WeightsNotFound as error:
        raise WeightsNotFoundError(str(error)) from error
    except errors.WeightsError as error:
        raise ModelError(str(error)) from error
    except errors.StreamError as error:
        raise PayloadError(str(error)) from error
    except ImportError as error:
        raise ModelError(f"{task} needs a package that is missing: {error}") from error
    except (RuntimeError, AssertionError, LookupError, TypeError, ArithmeticError) as error:
        raise LicError(f"{task} failed: {type(error).__name__}: {error}") from error


def codec_of(header: Header, device: str) -> Codec:
    """Return the codec that a header asks for."""
    import lic_models
    from lic_models.errors import UnknownModel

    try:
        return lic_models.load(header.model, device=device, fingerprint=header.fingerprint)
    except UnknownModel as error:
        raise UnknownModelError(str(error)) from error


def coded(header: Header, parts: Parts, depth: int | None = None) -> Coded:
    """Return the colours of an image as the codec takes them, to be decoded with so many bits."""
    from lic_models.codec import Coded

    size = header.width, header.height
    return Coded(parts.tiles, *size, header.level, header.tile, depth or header.depth)


def decode(
    header: Header,
    parts: Parts,
    device: str,
    region: Box | None = None,
    depth: int | None = None,
    on_tile: Callable[[], object] | None = None,
) -> Pixels:
    """Return the pixels (H, W, C) of an image or a region of it (left, upper, right, lower).

    They are uint8 or uint16, as `depth` or else the file says. A lost tile is grey, lost alpha
    opaque. `on_tile` is called after each tile.
    """
    with translated("decoding"):
        import numpy as np

        on_tile = calling(on_tile)
        depth = depth or header.depth
        left, upper, right, lower = region or (0, 0, header.width, header.height)
        planes = []
        if header.has_alpha:  # first: it is cheap to find malformed
            planes = [opacity(header, parts, depth, (left, upper, right, lower))[..., None]]
        codec = codec_of(header, device)
        box = upper, left, lower, right
        rgb = codec.decode_tiles(coded(header, parts, depth), box, on_tile)
        colours = grey(rgb) if header.mode.startswith("L") else rgb
        return np.concatenate([colours, *planes], axis=2) if planes else colours


def opacity(header: Header, parts: Parts, depth: int, region: Box) -> Pixels:
    """Return the alpha plane (h, w) of a region, opaque if it was lost."""
    import numpy as np

    left, upper, right, lower = region
    if parts.alpha is None:
        size = lower - upper, right - left
        return np.full(size, 2**depth - 1, np.uint8 if depth == 8 else np.uint16)
    whole = header.width, header.height
    if region != (0, 0, *whole) and not alpha.constant(parts.alpha):  # is decoded as a whole
        Image._decompression_bomb_check(whole)
    plane = alpha.decode(parts.alpha, header.width, header.height, header.depth)
    plane = plane[upper:lower, left:right]
    return plane if depth == header.depth else narrow(plane)


def grey(rgb: Pixels) -> Pixels:
    """Return the mean of three channels (H, W, 3), rounded: (H, W, 1)."""
    import numpy as np

    total = rgb.sum(axis=2, dtype=np.uint32, keepdims=True)
    mean: Pixels = ((total + 1) // 3).astype(rgb.dtype)
    return mean
