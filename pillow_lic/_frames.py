"""Several images as the frames of one file: collected, made alike, and timed."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from ._timing import FRAMES_MAX, TIME_MAX, Timing

if TYPE_CHECKING:
    from lic_models.pixels import Pixels

__all__ = ["DURATION", "alike", "each", "timing"]

DURATION = 100  # milliseconds, if the caller does not say


def each(images: Iterable[Image.Image]) -> Iterator[Image.Image]:
    """Yield all frames of all images, which are left at the frame where they were."""
    for image in images:
        count = getattr(image, "n_frames", 1)
        if count == 1:
            yield image
            continue
        here = image.tell()
        try:
            for frame in range(count):
                image.seek(frame)
                yield image
        finally:
            image.seek(here)


def alike(frames: Sequence[Pixels]) -> list[Pixels]:
    """Return arrays (H, W, C) with the channels and the depth that the richest of them needs.

    Raises ValueError if their sizes differ.
    """
    import numpy as np

    sizes = {frame.shape[:2] for frame in frames}
    if len(sizes) > 1:
        found = " and ".join(f"{width} x {height}" for height, width in sorted(sizes)[:2])
        raise ValueError(f"frames: found sizes {found}, allowed is one size")
    kind = max((frame.dtype for frame in frames), key=lambda dtype: dtype.itemsize)
    colour = any(frame.shape[2] > 2 for frame in frames)
    opacity = any(frame.shape[2] % 2 == 0 for frame in frames)

    def make(frame: Pixels) -> Pixels:
        if frame.dtype != kind:
            frame = frame.astype(kind) * 257
        planes = frame[..., : 3 if frame.shape[2] > 2 else 1]
        if colour and planes.shape[2] == 1:
            planes = np.repeat(planes, 3, axis=2)
        if not opacity:
            return planes
        plane = frame[..., -1:]
        if frame.shape[2] % 2:
            plane = np.full_like(plane, np.iinfo(kind).max)
        out: Pixels = np.concatenate([planes, plane], axis=2)
        return out

    return [make(frame) for frame in frames]


def timing(options: Mapping[str, Any], count: int) -> Timing:
    """Return how so many frames play; ValueError for a bad `duration` or `loop`."""
    if count > FRAMES_MAX:
        raise ValueError(f"frames: found {count}, allowed are {FRAMES_MAX}")
    given = options.get("duration")
    given = DURATION if given is None else given
    many = list(given) if isinstance(given, list | tuple) else [given] * count
    if len(many) != count:
        raise ValueError(f"duration: found {len(many)} for {count} frames, allowed is one for each")
    loop = options.get("loop")
    return Timing(_whole("loop", loop or 0), tuple(_whole("duration", each) for each in many))


def _whole(name: str, value: object) -> int:
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not good or not 0 <= value <= TIME_MAX:  # type: ignore[operator]
        raise ValueError(f"{name}: found {value!r}, allowed is 0 to {TIME_MAX}")
    return round(value)  # type: ignore[call-overload, no-any-return]
