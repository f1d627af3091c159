"""`lic desktop`: MIME type and thumbnails on Linux desktops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import _desktop
from .switch import Switch, turn

__all__ = ["command"]


def command(
    how: Annotated[Switch, typer.Argument(help="What to do.")],
    folder: Annotated[
        Path | None, typer.Option(help="A data folder other than XDG_DATA_HOME, ~/.local/share.")
    ] = None,
) -> None:
    """Teach this user's Linux desktop the type of .lic files and how to show thumbnails."""
    turn(_desktop, how, folder or _desktop.data_folder())
