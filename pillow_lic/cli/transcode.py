"""`lic transcode`: a `.lic` file coded anew, with all that was stored beside the picture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from . import batch, files, options
from .failures import Failures

__all__ = ["command"]


def _transcode(source: Path, target: Path, given: dict[str, Any], overwrite: bool) -> str:
    from .. import _codec, _options, _rate, _writing, container

    device = given["device"]
    with files.atomic(target, overwrite) as path:
        before = source.stat().st_size
        with source.open("rb") as fp:
            header = container.read_header(fp)
            _options.check_size((0, 0, header.width, header.height))
            found = list(container.read_frames(fp, header))
        frames = [_codec.decode(header, parts, device) for parts in found]
        codec = _codec.codec_of(header, device)
        own = {"model": codec.name, "tile": header.tile}
        if not any(name in given for name in _rate.NAMES):
            own["quality"] = header.level / 100
        if given.get("model", codec.name) == codec.name:
            own["tune"] = codec.tune
        metadata, timing = dict(found[0].metadata), found[0].timing
        if "preview" in given:
            metadata.pop(container.PREVIEW, None)
        data = _writing.file_of(frames, metadata, {**own, **given}, timing)
        path.write_bytes(data)
    return f"{target}  {before:,} -> {len(data):,} bytes"


def command(
    inputs: options.Files,
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
) -> None:
    """Decode .lic files and encode them again, profile, EXIF, XMP and preview kept.

    What is not given stays as it is in the file, times, 16 bits and what its weights serve
    included. As with every lossy format, quality is lost.
    """
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
    sources = files.expanded(failures, inputs, recursive=recursive)
    pairs = files.pairs(failures, sources, out, ".lic", skip_existing=skip_existing)
    work = partial(_transcode, given=given, overwrite=overwrite)
    batch.run(failures, pairs, work, "transcoding", jobs)
    failures.exit()
