"""Files in folders. The only place that says which are hidden."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from pathlib import Path

__all__ = ["inside"]


def _raise(error: OSError) -> None:
    raise error


def inside(
    folder: str | os.PathLike[str],
    suffixes: Container[str],
    *,
    below: bool = True,
    unread: Callable[[OSError], object] = _raise,
) -> list[Path]:
    """Return the files in a folder, and in those below, with these suffixes, sorted.

    Suffixes have small letters here, any in names. What is hidden is left out: files that are
    being written, and what systems keep beside files. Where folders cannot be read `unread` is
    called; by default that OSError is raised.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=unread):
        folders[:] = [name for name in folders if below and not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in suffixes and path.is_file())
