"""Bars on stderr: of files, or of the tiles of one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["each", "tiles"]

TILES_SHOWN = 4  # an image of fewer is done before a bar would help
T = TypeVar("T")


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def each(results: Iterator[T], total: int, doing: str) -> Iterator[T]:
    """Yield results, one for each of so many files, and show a bar if there are several."""
    from rich.progress import track

    console = _console()
    if total < 2 or not console.is_terminal or not sys.stdout.isatty():
        # The bar takes over stdout as well: results that go to a file or pipe must not meet it.
        yield from results
    else:
        yield from track(results, doing, total, console=console, transient=True)


@contextmanager
def tiles(
    total: int, doing: str, alone: bool, searching: bool = False
) -> Iterator[Callable[[], object] | None]:
    """Show a bar on stderr for an image of several tiles; yields what to call after each.

    Not if the image is not `alone`: then there is one of files. Who is `searching` goes through all
    tiles nobody knows how often: the bar then only moves.
    """
    from rich.markup import escape
    from rich.progress import Progress

    console = _console()
    if not alone or total < TILES_SHOWN or not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(escape(doing), total=None if searching else total)
        yield lambda: bar.advance(task)
