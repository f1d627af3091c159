"""`lic transcode`: a `.lic` file coded anew, with all that was stored beside the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import container
from . import files, options
from .decode import times
from .encode import metadata_of

__all__ = ["command"]


def _transcode(source: Path, target: Path, given: dict[str, Any], overwrite: bool) -> None:
    import pillow_lic

    from .. import _preview

    with files.atomic(target, overwrite) as path, source.open("rb") as fp:
        before = source.stat().st_size
        header = container.read_header(fp)
        shown = container.read_preview(fp)
        own: dict[str, Any] = {
            "model": header.model_name,
            "quality": header.level / 100,
            "tile": header.tile,
        }
        small = _preview.read(shown, header.mode) if shown else None
        if small is not None:
            own["preview"] = max(small.size)
        fp.seek(0)
        with pillow_lic.open(fp, given["device"]) as image:
            image.load()
            if header.sequence:
                own |= {"save_all": True, **times(image)}
            image.save(path, format="LIC", **metadata_of(image), **{**own, **given})
        after = path.stat().st_size
    typer.echo(f"{target}  {before:,} -> {after:,} bytes")


def command(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN", help=".lic files.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A file, or a directory for several.")
    ] = None,
    model: options.Model = None,
    quality: options.Quality = None,
    effort: options.Effort = None,
    tune: options.Tune = None,
    tile: options.Tile = None,
    preview: options.Preview = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
) -> None:
    """Decode .lic files and encode them again, profile, EXIF, XMP and preview kept.

    What is not given stays as it is in the file. As with every lossy format, quality is lost.
    """
    asked = {
        "model": model,
        "quality": quality,
        "effort": effort,
        "tune": tune,
        "tile": tile,
        "preview": preview,
    }
    given = {"device": device, **{k: value for k, value in asked.items() if value is not None}}
    failures = files.Failures()
    pairs = files.progress(inputs, files.targets(inputs, out, ".lic"), "transcoding")
    for source, target in pairs:
        with failures.caught(source):
            _transcode(source, target, given, overwrite)
    failures.exit()
