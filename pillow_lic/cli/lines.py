"""One line of output, whatever names files have."""

from __future__ import annotations

import re

import typer

__all__ = ["printable", "say"]

_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")  # what moves a terminal's cursor, or worse


def printable(text: object) -> str:
    """Return a text with control characters, which names may hold, as escapes."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], str(text))


def say(text: object, *, err: bool = False) -> None:
    """Print a line, to stderr if it is no result."""
    typer.echo(printable(text), err=err)
