"""Files that do not seek: pipes, and what a request brings."""

from __future__ import annotations

import io
from typing import IO

__all__ = ["seekable"]


def seekable(fp: IO[bytes]) -> IO[bytes]:
    """Return a file, or what is left to read of it if it does not seek."""
    try:
        fp.seek(fp.tell())
    except (AttributeError, OSError):
        return io.BytesIO(fp.read())
    return fp
