"""`lic texture`: what is left of textures, at the same file size."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lic_models.tunes import PLAIN

from . import coders, files, lists, measure, metrics, options, rivals, wavelets
from .coders import Coder
from .failures import Failures, missing_extra

if TYPE_CHECKING:
    from .metrics import Pixels

__all__ = ["command"]

DETAIL = 192  # pixels of the first picture that the figure shows


@dataclass(frozen=True)
class Row:
    """One picture by one coder at the file size of the first coder's `quality`, or just above."""

    coder: str
    quality: float
    image: str
    bpp: float
    psnr: float
    texture: wavelets.Texture


def _coders(names: Sequence[str], device: str) -> list[Coder]:
    if len(names) < 2:
        raise ValueError(f"found {', '.join(names)}, allowed are two or more")
    found = []
    for name in names:
        model, _, tune = name.partition(" ")
        ours = coders.ours(model, (), device, tune=tune or PLAIN)
        found.append(coders.RIVALS.get(name, ours))
    for coder in found:
        if coder.device:
            measure.fingerprint(coder)
        else:
            rivals.library(coder)
    if not found[0].device:
        raise ValueError(f"found {names[0]!r} first, allowed is one of our models")
    return found


def _rows(
    found: Sequence[Coder], qualities: Sequence[float], name: str, pixels: Pixels, folder: Path
) -> tuple[list[Row], list[Pixels]]:
    """Return what a picture gives, and how it looks at the first quality, original first."""
    rows, shown = [], [pixels]
    for quality in qualities:
        first = measure.code(found[0], quality, pixels, folder)
        every = [
            first,
            *(measure.at_size(each, pixels, first.size, folder)[1] for each in found[1:]),
        ]
        for coder, coded in zip(found, every, strict=True):
            bpp = 8 * coded.size / (pixels.shape[0] * pixels.shape[1])
            decibels = min(metrics.psnr(pixels, coded.pixels), measure.PSNR_MAX)
            texture = wavelets.compare(pixels, coded.pixels)
            rows.append(Row(coder.name, quality, name, bpp, decibels, texture))
            if quality == qualities[0]:
                shown.append(coded.pixels)
    return rows, shown


def _mean(rows: Sequence[Row]) -> tuple[float, ...]:
    """bpp, PSNR, distances of gradients and wavelets, energies: means over rows."""
    import numpy as np

    lines = [
        (each.bpp, each.psnr, each.texture.gradients, each.texture.wavelets, *each.texture.energy)
        for each in rows
    ]
    return tuple(float(value) for value in np.mean(lines, 0))


def _show(names: Sequence[str], quality: float, rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    images = len({row.image for row in rows})
    title = f"{images} images at the bytes of {names[0]}, quality {quality:g}"
    table = Table("coder", title=title, title_justify="left")
    for heading in (
        "bpp",
        "PSNR dB",
        "gradients off",
        "wavelets off dB",
        "energy kept, fine first",
    ):
        table.add_column(heading, justify="right")
    for name in names:
        mean = _mean([row for row in rows if row.coder == name and row.quality == quality])
        energy = " ".join(f"{100 * share:.0f} %" for share in mean[4:])
        numbers = f"{mean[0]:.3f}", f"{mean[1]:.2f}", f"{mean[2]:.3f}", f"{mean[3]:.2f}"
        table.add_row(name, *numbers, energy)
    Console(highlight=False).print(table)


def _figure(names: Sequence[str], rows: Sequence[Row], shown: Sequence[Pixels], path: Path) -> None:
    """Draw a detail of the first picture by every coder, and below how far textures are off."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(shown), 6.5), layout="constrained")
    rooms = figure.add_gridspec(2, 1, height_ratios=(3, 2))
    details = rooms[0].subgridspec(1, len(shown))
    top, left = ((side - DETAIL) // 2 for side in shown[0].shape[:2])
    detail = slice(max(top, 0), top + DETAIL), slice(max(left, 0), left + DETAIL)
    for column, (name, pixels) in enumerate(zip(("original", *names), shown, strict=True)):
        axes = figure.add_subplot(details[0, column])
        axes.imshow(pixels[detail], interpolation="nearest")
        axes.set_title(name)
        axes.set_axis_off()
    qualities = sorted({row.quality for row in rows})
    means = {
        name: [
            _mean([row for row in rows if row.coder == name and row.quality == quality])
            for quality in qualities
        ]
        for name in names
    }
    panels = rooms[1].subgridspec(1, 3)
    sizes = [f"{mean[0]:.2f} bpp" for mean in means[names[0]]]
    for panel, measured in enumerate(("gradients off", "wavelets off, dB")):
        heights = {name: [mean[2 + panel] for mean in means[name]] for name in names}
        _bars(figure.add_subplot(panels[0, panel]), heights, sizes, measured)
    energy = {name: list(_mean([row for row in rows if row.coder == name])[4:]) for name in names}
    axes = figure.add_subplot(panels[0, 2])
    _bars(axes, energy, [f"octave {x + 1}" for x in range(wavelets.OCTAVES)], "energy kept")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.legend()
    figure.savefig(path, dpi=120, format="png")


def _bars(axes: Any, heights: dict[str, list[float]], labels: list[str], title: str) -> None:
    """Draw a bar for each coder over each label."""
    width = 0.8 / len(heights)
    for index, (name, values) in enumerate(heights.items()):
        axes.bar([x + index * width for x in range(len(labels))], values, width, label=name)
    axes.set_xticks([x + 0.4 - width / 2 for x in range(len(labels))], labels)
    axes.set_title(title)


def command(
    folder: options.Folder,
    out: options.Out,
    names: Annotated[
        str,
        typer.Option(
            "--coders",
            help="Models, with a tune behind a space if any, and formats of Pillow; "
            "the first sets the size.",
        ),
    ] = "elic,jpeg",
    quality: Annotated[str, typer.Option("--quality", "-q", help="Of the first.")] = "15,30",
    limit: options.Limit = None,
    device: options.Device = "auto",
) -> None:
    """Compare what coders leave of textures, at the same file size or just above.

    Writes texture.json and texture.png.
    """
    with options.naming("--quality"):
        qualities = lists.qualities(quality)
    failures = Failures()
    with (
        failures.caught(),
        missing_extra(),
        tempfile.TemporaryDirectory() as scratch,
    ):
        metrics.check_extra()
        with options.naming("--coders"):
            found = _coders(lists.words(names), device)
        rows: list[Row] = []
        shown: list[Pixels] = []
        out.mkdir(parents=True, exist_ok=True)
        for path, pixels in measure.each(folder, limit, "texture"):
            more, looks = _rows(found, qualities, path.name, pixels, Path(scratch))
            rows += more
            shown = shown or looks
        labels = [coder.name for coder in found]
        for each in qualities:
            _show(labels, each, rows)
        text = json.dumps({"rows": [asdict(row) for row in rows]}, indent=1) + "\n"
        files.write_text(out / "texture.json", text)
        with files.atomic(out / "texture.png", overwrite=True) as path:
            _figure(labels, rows, shown, path)
        typer.echo(f"{out / 'texture.json'}  {out / 'texture.png'}")
    failures.exit()
