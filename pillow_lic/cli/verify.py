"""`lic verify`: are these files whole?"""

from __future__ import annotations

from typing import Annotated

import typer

from . import files, lines, options
from .failures import Failures

__all__ = ["command"]


def command(
    inputs: options.Files,
    recursive: options.Recursive = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Report only bad files.")] = False,
) -> None:
    """Check structure, checksums and alpha of .lic files; runs no network.

    Ends with status 1 if any file is bad.
    """
    from ..LicImagePlugin import LicImageFile

    failures = Failures()
    sources = files.expanded(failures, inputs, recursive=recursive)
    for source in sources:
        # Not through Image.open, which refuses huge images: checking needs none of their memory.
        sound = False
        with failures.caught(source), LicImageFile(source) as image:
            image.verify()
            sound = True
        if sound and not quiet:
            lines.say(f"{source}: ok")
    failures.exit()
