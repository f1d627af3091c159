"""Pixels to parts and back: the one module that calls the networks.

`lic_models` is imported inside the functions, because opening a file must not load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from PIL import Image

from . import _forks, alpha
from ._modes import narrow
from ._rate import Target, guess, search
from .container import Header, Parts, Timing, write_frames
from .errors import LicError, ModelError, PayloadError, UnknownModelError, WeightsNotFoundError
from .header import MODES, QUALITY_DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lic_models.codec import Codec
    from lic_models.pixels import Pixels
    from lic_models.transforms import Kept

    from .header import Box

__all__ = ["begun", "codec_of", "decode", "encode", "opacity", "translated"]


class _Raised(BaseException):
    """Carries what a caller's own function raised through `translated`."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _calling(on_tile: Callable[[], object] | None) -> Callable[[], object] | None:
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

        on_tile = _calling(on_tile)
        size = header.width, header.height
        depth = depth or header.depth
        left, upper, right, lower = region or (0, 0, *size)
        planes = []
        if header.has_alpha:  # first: it is cheap to find malformed
            planes = [opacity(header, parts, depth, (left, upper, right, lower))[..., None]]
        codec = codec_of(header, device)
        box = upper, left, lower, right
        rgb = codec.decode_tiles(parts.tiles, *size, header.level, header.tile, box, depth, on_tile)
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


def begun(
    model: str, quality: object, device: str, tune: str, **fields: Any
) -> tuple[Codec, Header]:
    """Return the codec and the header, which has these fields too, of a file to be written.

    Raises ValueError for what cannot be stored, before the long work.
    """
    import lic_models

    level = lic_models.level_from_quality(quality)
    codec = lic_models.load(lic_models.model_name(model), device=device, tune=tune)
    header = Header(model=codec.model_id, fingerprint=codec.fingerprint, level=level, **fields)
    header.pack()
    return codec, header


def encode(
    frames: Sequence[Pixels],
    metadata: Mapping[str, bytes],
    *,
    model: str,
    quality: object,
    tile: int,
    device: str,
    effort: int | None,
    tune: str,
    target: Target | None = None,
    timing: Timing | None = None,
    on_tile: Callable[[], object] | None = None,
) -> bytes:
    """Return the whole file for frames (H, W, C) of one shape, uint8 or uint16, 1 to 4 channels.

    There is one, or timing for each. With a target the level is searched for, and `quality` means
    nothing. `on_tile` is called after each tile, of each attempt at a target.
    """
    with translated("encoding"):
        import numpy as np

        on_tile = _calling(on_tile)
        height, width, channels = frames[0].shape
        mode, depth = MODES[channels - 1], 8 * frames[0].itemsize
        fields = {"width": width, "height": height, "mode": mode, "tile": tile, "depth": depth}
        fields["sequence"] = timing is not None
        quality = QUALITY_DEFAULT if target else quality  # to begin with
        codec, header = begun(model, quality, device, tune, **fields)
        planes = [alpha.encode(f[..., -1]) if header.has_alpha else None for f in frames]

        def colours(frame: Pixels) -> Pixels:
            if mode.startswith("L"):
                return np.repeat(frame[..., :1], 3, axis=2)
            return np.require(frame[..., :3], requirements=["C", "W"])  # torch warns of read-only

        def whole(level: int, coded: Iterable[Sequence[bytes]]) -> bytes:
            at = header._replace(level=level)
            return b"".join(write_frames(at, metadata, timing, zip(planes, coded, strict=True)))

        keep = target and len(frames) == 1  # of many, what is kept would take memory
        kept: list[Kept | None] = [{} if keep else None for _ in frames]

        def plainly(level: int) -> bytes:
            return whole(
                level,
                (
                    codec.encode_tiles(colours(frame), level, tile, on_tile, effort, each, tune)
                    for frame, each in zip(frames, kept, strict=True)
                ),
            )

        if target is None:
            return plainly(header.level)
        files: dict[int, bytes] = {}

        def measure(level: int) -> float:
            if target.is_size:
                files[level] = plainly(level)
                return len(files[level])
            coded, errors = [], []
            for frame, each in zip(frames, kept, strict=True):
                rgb = colours(frame)
                payloads, seen = codec.encode_seen(rgb, level, tile, on_tile, effort, each, tune)
                coded.append(payloads)
                seen = grey(seen) if mode.startswith("L") else seen
                errors.append(np.square((seen.astype(np.float32) - rgb) / (2**depth - 1)).mean())
            files[level] = whole(level, coded)
            return float(-10 * np.log10(max(np.mean(errors), 1e-9)))

        start = guess(target, colours(frames[0]), len(frames))
        return files[search(target, measure, start)]


def grey(rgb: Pixels) -> Pixels:
    """Return the mean of three channels (H, W, 3), rounded: (H, W, 1)."""
    import numpy as np

    total = rgb.sum(axis=2, dtype=np.uint32, keepdims=True)
    mean: Pixels = ((total + 1) // 3).astype(rgb.dtype)
    return mean
