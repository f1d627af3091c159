"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replacing"]


NAMED = 100  # bytes of a name that are kept beside what is added: systems allow for 255


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to; it takes the target's place on success only.

    Who may read or write what was there may do so with what comes. A device or a pipe has no place
    to take: it is what is yielded.
    """
    if target.exists() and not target.is_file():
        yield target
        return
    target = Path(os.path.realpath(target))  # a link stays one
    # The suffix stays last, because savers choose the format by it.
    stem = target.stem
    while len(os.fsencode(stem)) > NAMED:  # by characters: systems refuse halves of them
        stem = stem[:-1]
    temporary = target.with_name(f".{stem}.{secrets.token_hex(4)}{target.suffix}")
    try:
        yield temporary
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except OSError as error:
        if str(error.filename) == str(temporary):  # which nobody has heard of
            error.filename = str(target)
        raise
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
