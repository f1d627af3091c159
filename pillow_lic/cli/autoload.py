"""`lic autoload`: open `.lic` files in any program that uses Pillow, without an import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import _autoload
from .switch import Switch, turn

__all__ = ["command"]


def command(
    how: Annotated[Switch, typer.Argument(help="What to do.")],
    folder: Annotated[
        Path | None, typer.Option(help="A site folder other than this environment's.")
    ] = None,
) -> None:
    """Let every Python of this environment open .lic files without `import pillow_lic`.

    PILLOW_LIC_AUTOLOAD=0 in a program's environment holds it back there.
    """
    turn(_autoload, how, folder or _autoload.site_folder())
