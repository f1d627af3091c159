"""Pixels to parts and back: the one module that calls the networks.

`lic_models` is imported inside the functions, because opening a file must not load torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import alpha
from ._rate import Target, search
from .container import Header, Parts, write
from .errors import LicError, ModelError, PayloadError, UnknownModelError, WeightsNotFoundError
from .header import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from lic_models.codec import Codec

    from .header import Box

__all__ = ["codec_of", "decode", "encode", "translated"]


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
    try:
        yield
    except errors.WeightsNotFound as error:
        raise WeightsNotFoundError(str(error)) from error
    except errors.WeightsError as error:
        raise ModelError(str(error)) from error
    except errors.StreamError as error:
        raise PayloadError(str(error)) from error
    except ImportError as error:
        raise ModelError(f"{task} needs a package that is missing: {error}") from error
    except (RuntimeError, AssertionError, LookupError, TypeError) as error:
        raise LicError(f"{task} failed: {type(error).__name__}: {error}") from error


def codec_of(header: Header, device: str) -> Codec:
    """Return the codec that a header asks for."""
    import lic_models
    from lic_models.errors import UnknownModel

    try:
        return lic_models.load(header.model, device=device, fingerprint=header.fingerprint)
    except UnknownModel as error:
        raise UnknownModelError(str(error)) from error


def decode(header: Header, parts: Parts, device: str, region: Box | None = None) -> bytes:
    """Return the pixels of an image or a region of it (left, upper, right, lower).

    Channels are interleaved; a lost tile is grey, lost alpha opaque.
    """
    with translated("decoding"):
        import numpy as np

        size = header.width, header.height
        planes = []
        if parts.alpha is not None:  # first: it is cheap to find malformed
            planes = [alpha.decode(parts.alpha, *size)]
        elif header.has_alpha:
            planes = [np.full(size[::-1], 255, np.uint8)]
        codec = codec_of(header, device)
        left, upper, right, lower = region or (0, 0, *size)
        box = upper, left, lower, right
        rgb = codec.decode_tiles(parts.tiles, *size, header.level, header.tile, box)
        planes = [plane[upper:lower, left:right] for plane in planes]
        if header.mode.startswith("L"):
            rgb = grey(rgb)
        return bytes(np.dstack([rgb, *planes]).tobytes())


def encode(
    image: Image.Image,
    metadata: Mapping[str, bytes],
    *,
    model: str,
    quality: object,
    tile: int,
    device: str,
    target: Target | None = None,
) -> bytes:
    """Return the whole file for an image of mode L, LA, RGB or RGBA.

    With a target the level is searched for, and `quality` means nothing.
    """
    with translated("encoding"):
        import numpy as np

        import lic_models

        level = LEVELS[1] if target else lic_models.level_from_quality(quality)
        codec = lic_models.load(lic_models.model_name(model), device=device)
        width, height = image.size
        header = Header(width, height, image.mode, codec.model_id, codec.fingerprint, level, tile)
        header.pack()  # refuse what cannot be stored before the long work
        pixels = np.array(image).reshape(height, width, -1)  # a copy: torch warns of read-only
        plane = alpha.encode(pixels[..., -1]) if header.has_alpha else None
        if header.mode.startswith("L"):
            rgb = np.repeat(pixels[..., :1], 3, axis=2)
        else:
            rgb = np.ascontiguousarray(pixels[..., :3])

        def whole(level: int, payloads: list[bytes]) -> bytes:
            return write(header._replace(level=level), metadata, plane, payloads)

        if target is None:
            return whole(level, codec.encode_tiles(rgb, level, tile))
        files: dict[int, bytes] = {}

        def measure(level: int) -> float:
            if target.is_size:
                files[level] = whole(level, codec.encode_tiles(rgb, level, tile))
                return len(files[level])
            payloads, seen = codec.encode_seen(rgb, level, tile)
            files[level] = whole(level, payloads)
            if header.mode.startswith("L"):
                seen = grey(seen)[..., None]
            error = np.square(seen.astype(np.float32) - rgb).mean()
            return float(10 * np.log10(255**2 / max(error, 1e-3)))

        return files[search(target, measure)]


def grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean of three channels (H, W, 3), rounded."""
    import numpy as np

    mean: NDArray[np.uint8] = ((rgb.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    return mean
