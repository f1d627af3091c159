"""`lic thumbnail`: a small PNG of a file, for desktops; from the preview if it is as large."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import exif, files, options
from .failures import Failures

__all__ = ["command"]


def command(
    source: Annotated[
        Path, typer.Argument(metavar="IN", parser=options.as_path, help="A .lic file.")
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT", parser=options.as_path, help="The picture to write, as PNG."),
    ],
    size: Annotated[int, typer.Option(min=1, max=4096, help="Longest side in pixels.")] = 256,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
) -> None:
    """Write a small PNG of a .lic file, turned as its EXIF orientation says."""
    from PIL import Image

    import pillow_lic

    # Desktops name files as they like, without suffix too; what says another format is a mistake.
    if Image.registered_extensions().get(target.suffix.lower(), "PNG") != "PNG":
        text = f"found {target}, allowed is a name that ends in .png or in no picture's suffix"
        raise typer.BadParameter(text, param_hint="OUT")
    failures = Failures()
    with (
        failures.caught(source),
        files.atomic(target, overwrite) as path,
        pillow_lic.open(source, device) as image,
    ):
        image.draft(None, (size, size))
        # Pillow cannot reduce 16 bits by whole factors, as it does first where there is a gap.
        image.thumbnail((size, size), reducing_gap=None if image.mode == "I;16" else 2.0)
        exif.upright(image).save(path, "PNG")
    failures.exit()
