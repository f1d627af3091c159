"""What `lic autoload` and `lic desktop` share: things that are on or off in some folder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import typer

from .failures import Failures

__all__ = ["Switch", "turn"]


class Switch(str, Enum):
    on = "on"
    off = "off"
    status = "status"


class Switchable(Protocol):
    """A module that does it."""

    def on(self, folder: Path) -> Any: ...
    def off(self, folder: Path) -> Any: ...
    def status(self, folder: Path) -> str: ...


def turn(what: Switchable, how: Switch, place: Path) -> None:
    """Do it and say how things are now; ends with status 1 if it could not be done."""
    failures = Failures()
    with failures.caught(place):
        if how is Switch.on:
            what.on(place)
        elif how is Switch.off:
            what.off(place)
        typer.echo(what.status(place))
    failures.exit()
