"""`lic seams`: whether tiles can be told from what is between them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import coders, files, measure, options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .metrics import Pixels

__all__ = ["command"]


@dataclass(frozen=True)
class Row:
    """One picture at one quality, coded in tiles and in one piece; all figures are levels of 255.

    What is compared are steps: the differences between neighbours on both sides of a line. A seam
    is a step that the same picture in one piece does not have there.

    Attributes:
        border, border_largest: mean and largest difference of steps across borders of tiles.
        middle, middle_largest: the same across lines through the middle of tiles, for comparison.
    """

    image: str
    quality: float
    border: float
    border_largest: int
    middle: float
    middle_largest: int


def _steps(tiled: Pixels, whole: Pixels, lines: Sequence[int]) -> NDArray[np.int_]:
    """How steps over columns (before each of these lines) differ, in levels, flat."""
    import numpy as np

    at = np.array(lines, dtype=int)
    across = [image[:, at].astype(int) - image[:, at - 1] for image in (tiled, whole)]
    found: NDArray[np.int_] = np.abs(across[0] - across[1]).ravel()
    return found


def _compare(tiled: Pixels, whole: Pixels, edge: int) -> tuple[float, int, float, int]:
    """Mean and largest difference across borders, then across middles, of both directions."""
    import numpy as np

    found: list[float] = []
    for first in (edge, edge // 2):
        steps = np.concatenate(
            [
                _steps(each[0], each[1], range(first, each[0].shape[1], edge))
                for each in ((tiled, whole), (tiled.swapaxes(0, 1), whole.swapaxes(0, 1)))
            ]
        )
        found += [float(steps.mean()), int(steps.max())]
    return found[0], int(found[1]), found[2], int(found[3])


def _show(rows: Sequence[Row], edge: int) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    images = len({row.image for row in rows})
    title = f"{images} images, tiles of {edge}: levels that steps differ by from one piece"
    table = Table("quality", title=title, title_justify="left")
    for heading in ("borders, mean", "largest", "middles, mean", "largest"):
        table.add_column(heading, justify="right")
    for quality in sorted({row.quality for row in rows}):
        here = [row for row in rows if row.quality == quality]
        table.add_row(
            f"{quality:g}",
            f"{np.mean([row.border for row in here]):.2f}",
            str(max(row.border_largest for row in here)),
            f"{np.mean([row.middle for row in here]):.2f}",
            str(max(row.middle_largest for row in here)),
        )
    Console(highlight=False).print(table)


def command(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Of pictures.")],
    out: Annotated[Path, typer.Option("--out", "-o", file_okay=False, help="Folder for results.")],
    model: Annotated[str, typer.Option("--model", "-m", help="One of ours.")] = "elic",
    quality: Annotated[str, typer.Option("--quality", "-q", help="Between commas.")] = "10,50,90",
    tile: Annotated[int, typer.Option(min=64, help="Edge of tiles, a multiple of 64.")] = 256,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first pictures.")] = None,
    device: options.Device = "auto",
) -> None:
    """Compare pictures coded in tiles with the same in one piece, where tiles meet.

    Pictures must be larger than a tile. Writes seams.json.
    """
    from rich.console import Console
    from rich.progress import track

    with options.naming("--quality"):
        qualities = options.quality_list(quality)
    if tile % 64:
        raise typer.BadParameter(f"found {tile}, allowed are multiples of 64", param_hint="--tile")
    failures = files.Failures()
    with failures.caught(), tempfile.TemporaryDirectory() as scratch:
        coder = coders.ours(model, tuple(qualities), device)
        with options.naming("--model"):
            measure.fingerprint(coder)
        cut, one = (replace(coder, options={**coder.options, "tile": edge}) for edge in (tile, 0))
        rows: list[Row] = []
        out.mkdir(parents=True, exist_ok=True)
        pictures = measure.find(folder, limit)
        for picture in track(pictures, "seams", console=Console(stderr=True), transient=True):
            pixels = measure.pixels_of(picture.path)
            if min(pixels.shape[:2]) <= tile:
                raise ValueError(f"{picture.path}: found no larger than a tile of {tile} pixels")
            for each in qualities:
                tiled, whole = (
                    measure.code(coder, each, pixels, Path(scratch)).pixels for coder in (cut, one)
                )
                rows.append(Row(picture.path.name, each, *_compare(tiled, whole, tile)))
        _show(rows, tile)
        found = {"model": model, "tile": tile, "rows": [asdict(row) for row in rows]}
        files.write_text(out / "seams.json", json.dumps(found, indent=1) + "\n")
        typer.echo(str(out / "seams.json"))
    failures.exit()
