"""`lic decode`: `.lic` files to pictures."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import _modes
from . import batch, exif, files, lines, options, progress
from .failures import Failures, expected

if TYPE_CHECKING:
    from PIL import Image

    from ..LicImagePlugin import LicImageFile

__all__ = ["command"]

_WITH_EXIF = frozenset({"AVIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"})
_WITH_16_BITS = frozenset({"JPEG2000", "PNG", "PPM", "TIFF"})  # of grey; others clip or refuse


def _times(image: LicImageFile, format_: str) -> dict[str, Any]:
    """Return how a sequence plays, as Pillow's savers take it."""
    assert image.timing is not None
    loop: int | None = image.timing.loop
    if format_ == "GIF" and loop:  # which says how often to play again, or nothing at all
        loop = loop - 1 or None
    return {"duration": list(image.timing.durations), "loop": loop}


def _decode(
    source: Path, target: Path, device: str, keep: bool, overwrite: bool, alone: bool
) -> str:
    from PIL import Image, ImageSequence

    import pillow_lic

    start = time.perf_counter()
    with files.atomic(target, overwrite) as path, pillow_lic.open(source, device) as image:
        format_ = Image.registered_extensions()[target.suffix.lower()]
        extra = exif.metadata_of(image) if keep else {}
        assert image.header is not None
        with progress.tiles(image.header.tiles, f"decoding {source.name}", alone) as image.on_tile:
            image.load()  # or an error of the source would be blamed on the saver
        shown: Image.Image = image
        if image.is_animated and format_ in Image.SAVE_ALL:
            extra |= {"save_all": True, **_times(image, format_)}
        elif image.is_animated:
            lines.say(f"lic: {source}: took the first of {image.n_frames} pictures", err=True)
        # Whoever drops the orientation tag must do what it says.
        turned = exif.orientation(image) > 1 and not (keep and format_ in _WITH_EXIF)
        narrow = image.mode == "I;16" and format_ not in _WITH_16_BITS
        if turned or narrow:
            frames = ImageSequence.Iterator(image) if "save_all" in extra else [image]
            shown, *extra["append_images"] = (_fitting(each, turned, narrow) for each in frames)
        # The quality is for lossy formats only, whose defaults would add a visible second loss.
        with expected(target, "written"):
            _place_xmp(extra, format_)
            shown.save(path, icc_profile=image.info.get("icc_profile"), quality=95, **extra)
        size = f"{shown.width} x {shown.height} {shown.mode}"
    return f"{target}  {size}  {time.perf_counter() - start:.1f} s"


def _place_xmp(extra: dict[str, Any], format_: str) -> None:
    """Put XMP among the options where the savers of some formats look for it."""
    from PIL import ExifTags, Image

    xmp = extra.get("xmp")
    if xmp and format_ == "PNG":
        from PIL.PngImagePlugin import PngInfo

        extra["pnginfo"] = PngInfo()
        extra["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    elif xmp and format_ == "TIFF":
        tags = Image.Exif()
        tags.load(extra.get("exif", b""))
        tags[ExifTags.Base.XMLPacket] = xmp
        extra["exif"] = tags


def _fitting(frame: Image.Image, turned: bool, narrow: bool) -> Image.Image:
    """Return a frame as a format can show it."""
    import numpy as np
    from PIL import Image

    frame = exif.upright(frame) if turned else frame
    return Image.fromarray(_modes.narrow(np.asarray(frame))) if narrow else frame


def command(
    inputs: options.Files,
    out: options.Target = None,
    recursive: options.Recursive = False,
    suffix: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="Suffix of the results where --out is no file; lossy formats get quality 95.",
        ),
    ] = "png",
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    jobs: options.Jobs = 1,
    keep_metadata: Annotated[
        bool, typer.Option(help="Carry EXIF and XMP over where the format can.")
    ] = True,
) -> None:
    """Decode .lic files to PNG or any other format that Pillow writes."""
    suffix = "." + suffix.removeprefix(".")
    files.check_suffix(suffix, suffix[1:], "--format")
    failures = Failures()
    sources = files.expanded(failures, inputs, recursive=recursive)
    pairs = files.pairs(failures, sources, out, suffix, skip_existing=skip_existing)
    alone = len(pairs) == 1
    work = partial(_decode, device=device, keep=keep_metadata, overwrite=overwrite, alone=alone)
    batch.run(failures, pairs, work, "decoding", jobs)
    failures.exit()
