"""Options that several commands share, checked before any work starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import _options, _preview, _rate

__all__ = [
    "Device",
    "Effort",
    "Files",
    "Folder",
    "Jobs",
    "Limit",
    "Model",
    "Out",
    "Overwrite",
    "Pictures",
    "Preview",
    "Quality",
    "Recursive",
    "SkipExisting",
    "Target",
    "TargetBpp",
    "TargetPsnr",
    "TargetSize",
    "Tile",
    "Tune",
    "as_path",
    "as_quality",
    "given",
    "naming",
]


def as_quality(given: object) -> float:
    """Return a quality; typer's own message for a word would not say what is allowed."""
    from lic_models import level_from_quality

    try:
        value = float(str(given))
        level_from_quality(value)
        return value
    except ValueError as error:
        text = f"found {given!s:.40}, allowed is a number from 1 to 100"
        raise typer.BadParameter(text) from error


def _checking(name: str, check: Callable[[Any], object]) -> Callable[[Any], Any]:
    """Return a callback that lets through None and what `check` of an option does not refuse."""

    def callback(given: Any) -> Any:
        try:
            if given is not None:
                check(given)
        except ValueError as error:
            raise typer.BadParameter(str(error).removeprefix(f"{name}: ")) from error
        return given

    return callback


def _tile(given: int) -> int:
    return _options.tile_edge({"tile": given}, (1, 1))


def _effort(given: int) -> object:
    return _options.effort({"effort": given})


def _tune(given: str) -> str:
    return _options.tune({"tune": given})


def _preview_edge(given: int) -> int:
    return _preview.edge_of(given)


def as_path(given: object) -> Path:
    """Return a path, which may not be what others take for a stream, nor a variable's lack."""
    text = str(given)
    if text == "-":
        raise typer.BadParameter(
            "found -, allowed are names: standard input and output are not supported"
        )
    if not text:  # Path would make the current folder of it
        raise typer.BadParameter("found an empty name, allowed are names")
    return Path(text)


def _as_folder(given: object) -> Path:
    path = as_path(given)
    if os.path.exists(path) and not os.path.isdir(path):
        raise typer.BadParameter(f"found {path}, which is a file, allowed is a folder")
    return path


def _model(given: str) -> str:
    import lic_models

    return lic_models.model_name(given)


def _device(given: str) -> object:
    if given == "auto":  # which needs no torch before anything is decoded
        return given
    from lic_models.device import choose

    return choose(given)


def given(**asked: Any) -> dict[str, Any]:
    """Return the options of `save` that were given.

    Raises BadParameter if more than one, or a bad one, says how large files shall be.
    """
    found = {name: value for name, value in asked.items() if value is not None}
    with naming("--quality, --target-..."):
        _rate.wanted(found, (1, 1))
    return found


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Turn what is wrong with an option's value into an error that names the option."""
    try:
        yield
    except typer.BadParameter as error:
        error.param_hint = option
        raise
    except (ValueError, LookupError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Of pictures.")]
Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        parser=as_path,
        help=".lic files, or folders of them.",
    ),
]
Pictures = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        parser=as_path,
        help="Pictures, or folders of them.",
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", parser=_as_folder, metavar="PATH", help="Folder for results."),
]
Target = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        parser=as_path,
        metavar="PATH",
        help="A file, or a directory (for several, or without suffix).",
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Only the first pictures by name.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        callback=_checking("model", _model),
        help="Model that encodes; `lic models` lists them.",
    ),
]
Quality = Annotated[
    float | None,
    typer.Option(
        "--quality",
        "-q",
        parser=as_quality,
        metavar="1-100",
        help="1 (smallest file) to 100 (best picture); 75 for new files.",
    ),
]
TargetSize = Annotated[
    int | None,
    typer.Option("--target-size", metavar="BYTES", help="Largest file, instead of --quality."),
]
TargetBpp = Annotated[
    float | None,
    typer.Option("--target-bpp", metavar="BITS", help="Most bits per pixel, instead of --quality."),
]
TargetPsnr = Annotated[
    float | None,
    typer.Option("--target-psnr", metavar="DB", help="Least PSNR, instead of --quality."),
]
Effort = Annotated[
    int | None,
    typer.Option(
        "--effort",
        "-e",
        callback=_checking("effort", _effort),
        metavar="0-9",
        help="Above 0, improve what is coded by 2 (at 1) to 512 (at 9) gradient steps: slow.",
    ),
]
Tune = Annotated[
    str | None,
    typer.Option(
        "--tune",
        callback=_checking("tune", _tune),
        metavar="psnr|ms-ssim",
        help="What to serve; without weights for it, `ms-ssim` takes effort 1 unless given more.",
    ),
]
Preview = Annotated[
    int | None,
    typer.Option(
        "--preview",
        callback=_checking("preview", _preview_edge),
        metavar="PIXELS",
        help="Store a small picture too, its longer side of this many pixels (256, say); 0: none.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        callback=_checking("device", _device),
        help="Where networks run: auto, cpu, cuda, cuda:1, ...",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite/--no-overwrite", help="Replace files that exist.")
]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Skip files whose result exists.")
]
Jobs = Annotated[
    int,
    typer.Option("--jobs", "-j", min=1, help="Files at once; each takes memory of its own."),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="Search folders in folders too.")
]
Tile = Annotated[
    int | None,
    typer.Option(
        "--tile",
        callback=_checking("tile", _tile),
        metavar="PIXELS",
        help="Edge of independently coded tiles, a multiple of 64; 0 for one tile.",
    ),
]
