"""Pixels to a whole file, as the options of `save` ask: what all writers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _encode, _frames, _options, _preview
from .container import PREVIEW, Timing

if TYPE_CHECKING:
    from lic_models.pixels import Pixels

__all__ = ["file_of"]


def file_of(
    frames: Sequence[Pixels],
    metadata: Mapping[str, bytes],
    options: Mapping[str, Any],
    timing: Timing | None = None,
) -> bytes:
    """Return the file of one or more frames (H, W, 1 to 4), uint8 or uint16.

    They are made alike; the preview, if one is asked for, is of the first. Without `timing`
    several frames play as the options say, and one is a still. Raises ValueError for a bad option
    or sizes that differ, LicError, or OSError where a preview needs a Pillow with WebP.
    """
    if timing is None and len(frames) > 1:
        timing = _frames.timing(options, len(frames))
    alike = _frames.alike(frames)
    height, width = alike[0].shape[:2]
    given = _options.encoding(options, (width, height), len(alike))
    if preview := _preview.make(alike[0], options):
        metadata = {**metadata, PREVIEW: preview}
    return _encode.encode(alike, metadata, timing=timing, **given)
