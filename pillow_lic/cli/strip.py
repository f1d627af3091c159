"""`lic strip`: the same picture without what was stored beside it. Runs no network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from PIL import ExifTags, Image

from .. import _options, container
from . import batch, files, options
from .exif import orientation
from .failures import Failures

__all__ = ["command"]


def _strip(source: Path, target: Path, keep: set[str], overwrite: bool) -> str:
    with files.atomic(target, overwrite) as path:
        before = source.stat().st_size
        with source.open("rb") as fp:
            header = container.read_header(fp)
            frames = list(container.read_frames(fp, header))
        metadata = frames[0].metadata
        kept = {tag: data for tag, data in metadata.items() if tag in keep}
        if "e" in metadata and "e" not in keep:
            kept |= _turned(metadata["e"])
        coded = ((f.alpha, [tile for tile in f.tiles if tile is not None]) for f in frames)
        pieces = container.write_frames(header, kept, frames[0].timing, coded)
        path.write_bytes(b"".join(pieces))
        after = path.stat().st_size
    return f"{target}  {before:,} -> {after:,} bytes"


def _turned(exif: bytes) -> dict[str, bytes]:
    """Return EXIF of nothing but how to turn the picture, if it is to be turned."""
    image = Image.new("L", (1, 1))
    image.info["exif"] = _options.EXIF_PREFIX + exif
    turn = orientation(image)
    if turn == 1:
        return {}
    found = Image.Exif()
    found[ExifTags.Base.Orientation] = turn
    return {"e": found.tobytes().removeprefix(_options.EXIF_PREFIX)}


def _tags(names: list[str]) -> set[str]:
    known = {name: tag for tag, name in container.ANCILLARY.items()}
    for name in names:
        if name not in known:
            allowed = ", ".join(known)
            raise typer.BadParameter(f"found {name!r}, allowed are {allowed}", param_hint="--keep")
    return {known[name] for name in names}


def command(
    inputs: options.Files,
    out: options.Target = None,
    recursive: options.Recursive = False,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", help="icc_profile, exif, xmp or preview; may be given again."),
    ] = None,
    drop_profile: Annotated[
        bool, typer.Option(help="Drop the colour profile too, which changes colours.")
    ] = False,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
) -> None:
    """Remove EXIF, XMP, previews and unknown parts; coded pixels stay as they are, bit by bit.

    Of EXIF stays how to turn the picture, if it is to be turned.
    """
    tags = _tags(keep or []) | (set() if drop_profile else {"i"})
    failures = Failures()
    sources = files.expanded(failures, inputs, recursive=recursive)
    pairs = files.pairs(failures, sources, out, ".lic", skip_existing=skip_existing)
    batch.run(failures, pairs, partial(_strip, keep=tags, overwrite=overwrite), "stripping")
    failures.exit()
