"""`lic autoload`: open `.lic` files in any program that uses Pillow, without an import."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .. import _autoload
from . import files

__all__ = ["command"]


class What(str, Enum):
    on = "on"
    off = "off"
    status = "status"


def command(
    what: Annotated[What, typer.Argument(help="What to do.")],
    folder: Annotated[
        Path | None, typer.Option(help="A site folder other than this environment's.")
    ] = None,
) -> None:
    """Let every Python of this environment open .lic files without `import pillow_lic`.

    PILLOW_LIC_AUTOLOAD=0 in a program's environment holds it back there.
    """
    place = folder or _autoload.site_folder()
    failures = files.Failures()
    with failures.caught(place):
        if what is What.on:
            _autoload.on(place)
        elif what is What.off:
            _autoload.off(place)
        typer.echo(_autoload.status(place))
    failures.exit()
