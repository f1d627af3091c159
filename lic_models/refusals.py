"""Wrong arguments of this package's commands: one line and status 2, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from .errors import WeightsNotFound

__all__ = ["refusing"]


@contextmanager
def refusing(name: str | None = None) -> Iterator[None]:
    """Blame an argument for what is raised inside, by its name or in the error's own words."""
    try:
        yield
    except (ImportError, OSError, ValueError, WeightsNotFound) as error:
        text = str(error).removeprefix(f"{name}: ")
        raise typer.BadParameter(text, param_hint=name) from error
