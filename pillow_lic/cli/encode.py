"""`lic encode`: pictures to `.lic` files."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import _frames, _options, _rate
from . import batch, exif, files, lines, options, progress
from .failures import Failures, expected

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["command"]

# Formats whose frames follow each other in time; in others (MPO, TIFF) they are other pictures.
_MOVING = frozenset({"AVIF", "FLI", "GIF", "JXL", "LIC", "PNG", "WEBP"})


def _animation(opened: Image.Image) -> tuple[list[Image.Image], dict[str, Any]]:
    """Return all frames, and the save options for their times."""
    from PIL import ImageSequence

    durations, frames = [], []
    for number, frame in enumerate(ImageSequence.Iterator(opened)):
        if not number and opened.info.get("default_image"):
            continue  # of PNG, for who cannot show the animation
        frame.load()  # WebP says only then how long it lasts
        durations.append(frame.info.get("duration", _frames.DURATION))
        frames.append(frame.copy())
    loop = opened.info.get("loop", 0)
    if opened.format == "GIF":  # which says how often to play again, or nothing at all
        loop = loop + 1 if loop else "loop" not in opened.info
    return frames, {"save_all": True, "duration": durations, "loop": int(loop)}


def _encode(
    source: Path, target: Path, given: dict[str, Any], keep: bool, overwrite: bool, alone: bool
) -> str:
    from PIL import Image

    start = time.perf_counter()
    before = source.stat().st_size
    with files.atomic(target, overwrite) as path, Image.open(source) as opened:
        with expected(source, "read"):
            frames = getattr(opened, "n_frames", 1)
            if frames > 1 and opened.format not in _MOVING:
                lines.say(f"lic: {source}: took the first of {frames} pictures", err=True)
                frames = 1
            opened.load()
            extra = exif.metadata_of(opened) if keep else {}
            shown: list[Image.Image] = [opened]
            if frames > 1:
                shown, timing = _animation(opened)
                extra |= timing
            if not keep:  # whoever drops the orientation tag must do what it says
                shown = [*map(exif.upright, shown)]
            image, *more = shown
        edge = _options.tile_edge(given, image.size) or max(image.size)
        count = len(shown) * math.ceil(image.width / edge) * math.ceil(image.height / edge)
        searching = any(name in given for name in _rate.NAMES)
        with progress.tiles(count, f"encoding {source.name}", alone, searching) as on_tile:
            image.save(path, format="LIC", on_tile=on_tile, append_images=more, **extra, **given)
        size = path.stat().st_size
        pixels = len(shown) * image.width * image.height
    seconds = time.perf_counter() - start
    sizes = f"{before:,} -> {size:,} bytes"
    return f"{target}  {sizes}  {8 * size / pixels:.3f} bpp  {seconds:.1f} s"


def command(
    inputs: options.Pictures,
    out: options.Target = None,
    recursive: options.Recursive = False,
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
    skip_existing: options.SkipExisting = False,
    jobs: options.Jobs = 1,
    keep_metadata: Annotated[
        bool,
        typer.Option("--keep-metadata", help="Store EXIF and XMP too (the profile always is)."),
    ] = False,
) -> None:
    """Encode pictures of any format that Pillow reads to .lic files."""
    given = options.given(
        model=model,
        quality=quality,
        target_size=target_size,
        target_bpp=target_bpp,
        target_psnr=target_psnr,
        effort=effort,
        tune=tune,
        tile=tile,
        preview=preview,
        device=device,
    )
    failures = Failures()
    sources = files.expanded(failures, inputs, files.pictures(), recursive=recursive)
    pairs = files.pairs(failures, sources, out, ".lic", skip_existing=skip_existing)
    alone = len(pairs) == 1
    work = partial(_encode, given=given, keep=keep_metadata, overwrite=overwrite, alone=alone)
    batch.run(failures, pairs, work, "encoding", jobs)
    failures.exit()
