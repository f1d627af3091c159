"""Options that several commands share, checked before any work starts."""

from __future__ import annotations

import math
from typing import Annotated

import typer

__all__ = [
    "Device",
    "Model",
    "Overwrite",
    "Preview",
    "Quality",
    "TargetBpp",
    "TargetPsnr",
    "TargetSize",
    "Tile",
    "quality_list",
]


def _quality(given: object) -> float:
    """Return a quality; typer's own message for a word would not say what is allowed."""
    try:
        value = float(str(given))
    except ValueError:
        value = math.nan
    if not 1 <= value <= 100:
        raise typer.BadParameter(f"found {given!s:.40}, allowed is a number from 1 to 100")
    return value


def _tile(given: int | None) -> int | None:
    """Return a tile edge that a file can state."""
    from .. import _options

    try:
        if given is not None:
            _options.tile_edge({"tile": given}, (1, 1))
    except ValueError as error:
        raise typer.BadParameter(str(error).removeprefix("tile: ")) from error
    return given


def _preview(given: int | None) -> int | None:
    """Return the longer side of a preview."""
    from .. import _preview

    try:
        _preview.edge_of(given)
    except ValueError as error:
        raise typer.BadParameter(str(error).removeprefix("preview: ")) from error
    return given


def quality_list(text: str) -> list[float]:
    """Return the numbers of a comma-separated list, in order; BadParameter names a bad one."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"found {text!r}, allowed are numbers between commas") from error
    for value in values:
        if not 1 <= value <= 100:  # NaN fails too
            raise typer.BadParameter(f"found {value:g}, allowed is 1 to 100")
    return sorted(set(values))


Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model that encodes; `lic models` lists them.")
]
Quality = Annotated[
    float | None,
    typer.Option(
        "--quality",
        "-q",
        parser=_quality,
        metavar="1-100",
        help="1 (smallest file) to 100 (best picture).",
    ),
]
TargetSize = Annotated[
    int | None, typer.Option("--target-size", metavar="BYTES", help="Instead of --quality.")
]
TargetBpp = Annotated[
    float | None, typer.Option("--target-bpp", metavar="BITS", help="The same per pixel.")
]
TargetPsnr = Annotated[
    float | None, typer.Option("--target-psnr", metavar="DB", help="Instead of --quality.")
]
Preview = Annotated[
    int | None,
    typer.Option(
        "--preview",
        callback=_preview,
        metavar="PIXELS",
        help="Store a small picture too, its longer side of this many pixels (256, say).",
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="Where networks run: auto, cpu, cuda, cuda:1, ...")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite/--no-overwrite", help="Replace files that exist.")
]
Tile = Annotated[
    int | None,
    typer.Option(
        "--tile",
        callback=_tile,
        metavar="PIXELS",
        help="Edge of independently coded tiles, a multiple of 64; 0 for one tile.",
    ),
]
