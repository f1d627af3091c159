"""`lic encode`: pictures to `.lic` files."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import _options, _rate
from . import files, options

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["command", "metadata_of"]


# Of a TIFF's tags, those that EXIF has too; the others place its strips and name its compression.
_DESCRIBING = frozenset({270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853})
# Formats whose frames follow each other in time; in others (MPO, TIFF) they are other pictures.
_MOVING = frozenset({"AVIF", "FLI", "GIF", "JXL", "LIC", "PNG", "WEBP"})


def metadata_of(image: Image.Image) -> dict[str, Any]:
    """Return the save options that carry an image's EXIF and XMP over."""
    exif = image.info.get("exif")
    if not exif:
        exif = image.getexif()
        if image.format == "TIFF":
            for tag in set(exif) - _DESCRIBING:
                del exif[tag]
    found = {"exif": exif, "xmp": image.info.get("xmp")}
    return {name: value for name, value in found.items() if value}


def _animation(opened: Image.Image, keep: bool) -> dict[str, Any]:
    """Return the save options for the frames after the first, and the times of all."""
    from PIL import ImageOps, ImageSequence

    durations, more = [], []
    for number, frame in enumerate(ImageSequence.Iterator(opened)):
        frame.load()  # WebP says only then how long it lasts
        durations.append(frame.info.get("duration", 100))
        if number:
            more.append(frame.copy() if keep else ImageOps.exif_transpose(frame))
    opened.seek(0)
    loop = opened.info.get("loop", 0)
    return {"append_images": more, "save_all": True, "duration": durations, "loop": loop}


def _encode(
    source: Path, target: Path, given: dict[str, Any], keep: bool, overwrite: bool, alone: bool
) -> None:
    from PIL import Image, ImageOps

    start = time.perf_counter()
    before = source.stat().st_size
    with files.atomic(target, overwrite) as path, Image.open(source) as opened:
        with files.reading(source):
            frames = getattr(opened, "n_frames", 1)
            if frames > 1 and opened.format not in _MOVING:
                typer.echo(f"lic: {source}: took the first of {frames} pictures", err=True)
                frames = 1
            opened.load()
            extra = metadata_of(opened) if keep else {}
            image: Image.Image = opened
            if frames > 1:
                extra |= _animation(opened, keep)
                image = opened.copy()
            if not keep:  # whoever drops the orientation tag must do what it says
                ImageOps.exif_transpose(image, in_place=True)  # large images allow for no copy
        edge = _options.tile_edge(given, image.size) or max(image.size)
        count = frames * math.ceil(image.width / edge) * math.ceil(image.height / edge)
        searching = any(name in given for name in _rate.NAMES)
        with files.tiles(count, f"encoding {source.name}", alone, searching) as on_tile:
            image.save(path, format="LIC", on_tile=on_tile, **extra, **given)
        size = path.stat().st_size
        pixels = image.width * image.height
    seconds = time.perf_counter() - start
    sizes = f"{before:,} -> {size:,} bytes"
    typer.echo(f"{target}  {sizes}  {8 * size / pixels:.3f} bpp  {seconds:.1f} s")


def command(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN", help="Pictures.")],
    out: options.Target = None,
    model: options.Model = None,
    quality: options.Quality = None,
    target_size: options.TargetSize = None,
    target_bpp: options.TargetBpp = None,
    target_psnr: options.TargetPsnr = None,
    effort: options.Effort = None,
    tune: options.Tune = None,
    tile: options.Tile = None,
    preview: options.Preview = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    keep_metadata: Annotated[
        bool,
        typer.Option("--keep-metadata", help="Store EXIF and XMP too (the profile always is)."),
    ] = False,
) -> None:
    """Encode pictures of any format that Pillow reads to .lic files."""
    asked = {
        "model": model,
        "quality": quality,
        "target_size": target_size,
        "target_bpp": target_bpp,
        "target_psnr": target_psnr,
        "effort": effort,
        "tune": tune,
        "tile": tile,
        "preview": preview,
        "device": device,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    failures = files.Failures()
    for source, target in files.progress(inputs, files.targets(inputs, out, ".lic"), "encoding"):
        with failures.caught(source):
            _encode(source, target, given, keep_metadata, overwrite, len(inputs) == 1)
    failures.exit()
