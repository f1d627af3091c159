"""Rate control: the level at which a file has some size, or a picture some PSNR.

Over the level, the logarithm of the size and the PSNR are nearly straight lines, and a JPEG of the
same picture, which takes a hundredth of the time, tells where they run. Should they bend, the
secant from both sides (the Illinois method) closes in all the same.
"""

from __future__ import annotations

import io
import math
import numbers
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .header import LEVELS

if TYPE_CHECKING:
    from lic_models.pixels import Pixels

__all__ = ["NAMES", "Guess", "Target", "guess", "search", "wanted"]

ENCODES_MAX = 8
VALUES = 1e-9, 1e15  # of any target, far beyond every file
NAMES = ("target_size", "target_bpp", "target_psnr")

JPEG_QUALITY = 50
JPEG_SIDE = 2048  # pixels of a larger picture that are looked at
# What a level l (over 10000) gives when that JPEG gives j: a + b l + c j + d l j, for the natural
# logarithm of bytes per pixel and for dB; fitted to 36 photos with `elic`. To start from: other
# models and pictures may be as far off as they like.
BYTES = -2.212, 4.334, 1.057, 0.490
PSNR = -1.981, 19.168, 0.872, -0.166


class Target(NamedTuple):
    """What a caller wants instead of a quality.

    name: the option. value: bytes of the file, or dB. slack: what may be given away, as a share
    of the bytes or in dB. unit: bytes in what the option counts.
    """

    name: str
    value: float
    slack: float
    unit: float = 1.0

    @property
    def is_size(self) -> bool:
        return self.name != "target_psnr"


def wanted(options: Mapping[str, Any], size: tuple[int, int], frames: int = 1) -> Target | None:
    """Return the target among the options of `save`, or None; ValueError if one is bad.

    Pixels are those of all frames.
    """
    given = [name for name in NAMES if options.get(name) is not None]
    if not given:
        return None
    if len(given) > 1 or options.get("quality") is not None:
        found = ", ".join(name for name in ("quality", *NAMES) if options.get(name) is not None)
        raise ValueError(f"quality: found {found}, allowed is one of them")
    [name] = given
    value = options[name]
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (good and VALUES[0] <= value <= VALUES[1]):  # which NaN is not
        raise ValueError(f"{name}: found {value!r}, allowed is {VALUES[0]:g} to {VALUES[1]:g}")
    if name == "target_psnr":
        return Target(name, float(value), 0.05)
    unit = frames * size[0] * size[1] / 8 if name == "target_bpp" else 1.0
    return Target(name, float(value) * unit, 0.01, unit)


class Guess(NamedTuple):
    """Where to look first, and how log(bytes) or dB grow there, per level."""

    level: int
    slope: float


def guess(target: Target, picture: Pixels, frames: int = 1) -> Guess:
    """Guess from a JPEG of the first of so many frames, (H, W, 3), uint8 or uint16."""
    import numpy as np
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    height, width = picture.shape[:2]
    top, left = (max(side - JPEG_SIDE, 0) // 2 for side in (height, width))
    seen = picture[top : top + JPEG_SIDE, left : left + JPEG_SIDE]
    seen = (seen >> 8).astype(np.uint8) if seen.dtype == np.uint16 else seen
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(seen)).save(file, "JPEG", quality=JPEG_QUALITY)
    if target.is_size:
        constant, rise, share, bend = BYTES
        found = math.log(file.tell() / (seen.shape[0] * seen.shape[1]))
        aim = math.log(target.value / (frames * height * width))
    else:
        constant, rise, share, bend = PSNR
        file.seek(0)
        with JpegImageFile(file) as image:  # ours: no bomb, however low the limit
            error = np.square(np.asarray(image, np.float32) - seen).mean()
        found = float(10 * np.log10(255**2 / max(error, 0.01)))
        aim = target.value
    slope = max(rise + bend * found, rise / 4) / LEVELS[1]
    level = round((aim - constant - share * found) / slope)
    return Guess(min(max(level, LEVELS[0]), LEVELS[1]), slope)


def search(target: Target, measure: Callable[[int], float], start: Guess) -> int:
    """Return the best level found.

    `measure` encodes at a level and returns the bytes of the file or the PSNR. A size is never
    exceeded, a PSNR always reached. Raises ValueError if no level does that.
    """
    sign = 1 if target.is_size else -1  # as if for sizes: below the goal is good

    def height(level: int) -> float:
        value = measure(level)
        return math.log(value / target.value) if target.is_size else value - target.value

    low, high = LEVELS
    known: dict[int, float] = {}
    level = start.level
    was_low: bool | None = None
    weight = 1.0
    aim = -sign * target.slack / 2
    for _ in range(ENCODES_MAX):
        known[level] = found = height(level)
        if found * sign <= 0 and abs(found) <= target.slack:
            return level
        below = [at for at, value in known.items() if value <= 0]
        above = [at for at, value in known.items() if value > 0]
        low = max(below, default=low)
        high = min(above, default=high)
        if (level == LEVELS[0] and found > 0) or (level == LEVELS[1] and found < 0):
            break
        if below and above and high - low <= 1:
            break
        if below and above:
            # An end that stays while the other moves counts for half as much each time.
            weight = weight / 2 if (level == low) is was_low else 1.0
            was_low = level == low
            ends = known[low] - aim, known[high] - aim
            under, over = (1, weight) if was_low else (weight, 1)
            level = _between(under * ends[0], over * ends[1], low, high)
        else:
            level = min(max(_beyond(known, aim, level, start.slope), low), high)
        if level in known:
            break
    end = LEVELS[0] if target.is_size else LEVELS[1]
    if end not in known and all(value * sign > 0 for value in known.values()):
        known[end] = height(end)
    good = [at for at, value in known.items() if value * sign <= 0]
    if not good:
        found = target.value / target.unit
        raise ValueError(f"{target.name}: found {found:g}, allowed is {_limit(target, known)} here")
    return max(good) if target.is_size else min(good)


def _limit(target: Target, known: Mapping[int, float]) -> str:
    """Return what can be had where the target cannot, by how far levels are from it."""
    if not target.is_size:
        return f"at most {target.value + max(known.values()):.2f}"
    least = math.ceil(target.value * math.exp(min(known.values())) - 1e-6)
    if target.unit == 1:
        return f"at least {least} bytes"
    return f"at least {math.ceil(1e4 * least / target.unit) / 1e4:g}"


def _beyond(known: dict[int, float], aim: float, level: int, slope: float) -> int:
    """Return where a line from what was found at a level meets the aim."""
    if len(known) > 1:
        near = sorted(known, key=lambda at: abs(known[at] - aim))[:2]
        rise = known[near[0]] - known[near[1]]
        if rise:
            slope = max(rise / (near[0] - near[1]), slope / 10)
        level = near[0]
    return round(level + (aim - known[level]) / slope)


def _between(below: float, above: float, low: int, high: int) -> int:
    """Return where the line between two levels, so far from the aim, meets it."""
    step = round(low - below * (high - low) / (above - below)) if above > below else low
    return min(max(step, low + 1), high - 1)
