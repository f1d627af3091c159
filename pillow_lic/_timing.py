"""When the frames of a sequence are shown: part F."""

from __future__ import annotations

import io
from typing import NamedTuple

from .errors import FormatError, TruncatedError
from .header import pack_varint, read_varint

__all__ = ["FRAMES_MAX", "TIME_MAX", "TIMING_MAX", "Timing"]

FRAMES_MAX = 1 << 20
TIMING_MAX = 5 * (FRAMES_MAX + 2)  # bytes
TIME_MAX = (1 << 31) - 1  # milliseconds, and repetitions


class Timing(NamedTuple):
    """How a sequence plays: `loop` times (0: for ever), frames for so many milliseconds each."""

    loop: int
    durations: tuple[int, ...]

    def pack(self) -> bytes:
        """Return the data of part F; ValueError for a number out of range."""
        numbers = {"loop": self.loop, "frames": len(self.durations)}
        for name, number in (*numbers.items(), *(("duration", each) for each in self.durations)):
            limit = FRAMES_MAX if name == "frames" else TIME_MAX
            if not (name == "frames") <= number <= limit:
                raise ValueError(f"{name}: found {number}, allowed are up to {limit}")
        return b"".join(map(pack_varint, (*numbers.values(), *self.durations)))

    @classmethod
    def unpack(cls, data: bytes) -> Timing:
        """Read the data of part F; FormatError unless it is what `pack` makes."""
        fp = io.BytesIO(data)
        try:
            loop, count = (read_varint(fp, name)[0] for name in ("loop", "frames"))
            if not 1 <= count <= FRAMES_MAX:
                raise FormatError(f"frames: found {count}, allowed is 1 to {FRAMES_MAX}")
            if count > len(data):
                raise FormatError(f"frames: found {count} in a part of {len(data)} bytes")
            durations = tuple(read_varint(fp, "duration")[0] for _ in range(count))
        except TruncatedError as error:
            raise FormatError(f"part F: ends within its numbers ({error})") from error
        if max(loop, *durations) > TIME_MAX:
            raise FormatError(f"part F: found {max(loop, *durations)}, allowed is to {TIME_MAX}")
        if fp.tell() != len(data):
            raise FormatError(f"part F: found {len(data) - fp.tell()} bytes after its numbers")
        return cls(loop, durations)
