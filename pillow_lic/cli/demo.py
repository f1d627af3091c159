"""`lic demo`: one photo through a model, beside JPEG, WebP and AVIF at the same file size."""

from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..header import MODEL_DEFAULT
from . import coders, files, measure, metrics, options, rivals
from .coders import Coder
from .failures import Failures, expected
from .measure import Coded
from .panels import Panel, side_by_side

if TYPE_CHECKING:
    from .metrics import Pixels

__all__ = ["command"]

# Bundled photos, and the point around which the picture shows a detail.
PHOTOS = {"kitten": (0.44, 0.54), "parakeet": (0.50, 0.30)}
RIVALS = ("jpeg", "webp", "avif")
_OUT = Path("lic-demo.png")


def _load(photo: str) -> tuple[Pixels, tuple[float, float]]:
    """Return a photo's pixels and the point of interest."""
    if photo in PHOTOS:
        bundled = resources.files("pillow_lic").joinpath("data", f"{photo}.png")
        with resources.as_file(bundled) as path:
            return measure.pixels_of(path), PHOTOS[photo]
    if not Path(photo).is_file():
        known = ", ".join(PHOTOS)
        raise ValueError(f"photo: found {photo!r}, allowed are {known} and picture files")
    with expected(Path(photo), "read"):
        return measure.pixels_of(Path(photo)), (0.5, 0.5)


def _panels(pixels: Pixels, ours: Coder, quality: float) -> list[Panel]:
    """Return the original, our version and the rivals'."""
    from rich.console import Console

    panels = [Panel("original", pixels)]

    def add(title: str, setting: float, coded: Coded) -> None:
        decibels = metrics.psnr(pixels, coded.pixels)
        panels.append(Panel(title, coded.pixels, setting, coded, decibels))

    with tempfile.TemporaryDirectory() as scratch, Console(stderr=True).status("") as status:
        folder = Path(scratch)
        status.update(f"{ours.name}: loading the weights")
        measure.fingerprint(ours)  # so that the time shown is that of coding
        status.update(f"{ours.name}: encoding and decoding")
        first = measure.code(ours, quality, pixels, folder)
        add(f"LIC {ours.name}", quality, first)
        for name in RIVALS:
            try:
                rivals.library(coders.RIVALS[name])
            except ValueError as error:
                typer.echo(f"lic: left out: {error}", err=True)
                continue
            status.update(f"{name}: looking for the quality that takes {first.size:,} bytes")
            add(name.upper(), *measure.at_size(coders.RIVALS[name], pixels, first.size, folder))
    return panels


def _show(panels: list[Panel]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("format")
    for title in ("quality", "bytes", "bpp", "PSNR dB", "encode s", "decode s"):
        table.add_column(title, justify="right")
    for panel in panels:
        if panel.coded is not None:
            coded = panel.coded
            seconds = (f"{coded.encode_s:.2f}", f"{coded.decode_s:.2f}")
            numbers = (f"{panel.quality:g}", f"{coded.size:,}", f"{panel.bpp:.3f}")
            table.add_row(panel.title, *numbers, f"{panel.psnr:.2f}", *seconds)
    Console(highlight=False).print(table)


def command(
    photo: Annotated[
        str, typer.Argument(help=f"{', '.join(PHOTOS)}, or the name of a picture file.")
    ] = "kitten",
    model: options.Model = MODEL_DEFAULT,
    quality: options.Quality = 20,
    device: options.Device = "auto",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Comparison picture; the default is always anew.")
    ] = _OUT,
    overwrite: options.Overwrite = False,
) -> None:
    """Encode and decode a photo, and compare with JPEG, WebP and AVIF at the same file size."""
    assert model is not None
    assert quality is not None
    files.check_suffix(out.suffix, out, "--out")
    failures = Failures()
    with failures.caught():
        with files.atomic(out, overwrite or out == _OUT) as path:
            pixels, focus = _load(photo)
            panels = _panels(pixels, coders.ours(model, (), device), quality)
            side_by_side(panels, focus).save(path)
        _show(panels)
        typer.echo(f"side by side: {out}")
    failures.exit()
