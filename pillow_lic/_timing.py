"""When the frames of a sequence are shown: part F."""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import FormatError
from .header import pack_varint, unpack_varint

__all__ = ["FRAMES_MAX", "TIME_MAX", "TIMING_MAX", "Timing"]

FRAMES_MAX = 1 << 20
TIMING_MAX = 5 * (FRAMES_MAX + 2)  # bytes
_VARINT = re.compile(rb"[\x80-\xff]{0,4}[\x00-\x7f]")
TIME_MAX = (1 << 31) - 1  # milliseconds, and repetitions


class Timing(NamedTuple):
    """How a sequence plays: `loop` times (0: for ever), frames for so many milliseconds each."""

    loop: int
    durations: tuple[int, ...]

    def pack(self) -> bytes:
        """Return the data of part F; ValueError for a number out of range."""
        count = len(self.durations)
        _within("loop", self.loop, 0, TIME_MAX)
        _within("frames", count, 1, FRAMES_MAX)
        for each in self.durations:
            _within("duration", each, 0, TIME_MAX)
        return b"".join(map(pack_varint, (self.loop, count, *self.durations)))

    @classmethod
    def unpack(cls, data: bytes) -> Timing:
        """Read the data of part F; FormatError unless it is what `pack` makes."""
        each = _VARINT.findall(data)
        if len(each) < 3 or sum(map(len, each)) != len(data):
            found = f"found {len(each)} whole numbers in {len(data)} bytes"
            raise FormatError(f"part F: {found}, allowed are 3 or more and nothing beside")
        # There may be a million: what is alike is read once.
        known = {raw: unpack_varint(raw, "part F") for raw in set(each)}
        loop, count, *durations = map(known.__getitem__, each)
        if not 1 <= count <= FRAMES_MAX or count != len(durations):
            raise FormatError(
                f"frames: found {count} for {len(durations)} times, allowed is to {FRAMES_MAX}"
            )
        if max(loop, *durations) > TIME_MAX:
            raise FormatError(f"part F: found {max(loop, *durations)}, allowed is to {TIME_MAX}")
        return cls(loop, tuple(durations))


def _within(name: str, number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise ValueError(f"{name}: found {number}, allowed is {low} to {high}")
