"""`lic seams`: whether tiles can be told from what is between them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..header import MODEL_DEFAULT, SAMPLE
from . import coders, files, lists, measure, options
from .failures import Failures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .metrics import Pixels

__all__ = ["command"]


@dataclass(frozen=True)
class Row:
    """One picture at one quality, coded in tiles and in one piece; all figures are levels of 255.

    What is compared are steps: the differences between neighbours on both sides of a line. A seam
    is a step that the same picture in one piece does not have there. Near borders latents are
    coded from other contexts and rounded otherwise, so steps differ a little everywhere; a seam
    would make the borders stand out from the lines beside them.

    Attributes:
        border, border_largest: mean and largest difference of steps across borders of tiles.
        beside, beside_largest: the same across lines one sample of y (16 pixels) to either side.
        middle, middle_largest: the same across lines through the middle of tiles.
    """

    image: str
    quality: float
    border: float
    border_largest: float
    beside: float
    beside_largest: float
    middle: float
    middle_largest: float


def _steps(tiled: Pixels, whole: Pixels, lines: Sequence[int]) -> NDArray[np.int_]:
    """How steps over columns (before each of these lines) differ, in levels, flat."""
    import numpy as np

    at = np.array(lines, dtype=int)
    across = [image[:, at].astype(int) - image[:, at - 1] for image in (tiled, whole)]
    found: NDArray[np.int_] = np.abs(across[0] - across[1]).ravel()
    return found


def _compare(tiled: Pixels, whole: Pixels, edge: int) -> dict[str, float]:
    """Mean and largest difference across lines of both directions, as fields of a row."""
    import numpy as np

    found: dict[str, float] = {}
    offsets = {"border": [0], "beside": [-SAMPLE, SAMPLE], "middle": [-edge // 2]}
    for name, moves in offsets.items():
        steps = []
        for axis in (0, 1):
            pair = tiled.swapaxes(1, axis), whole.swapaxes(1, axis)
            across = pair[0].shape[1]
            borders = range(edge, across, edge)
            lines = [at + by for at in borders for by in moves if at + by < across]
            steps.append(_steps(*pair, lines))
        every = np.concatenate(steps)
        found |= {name: float(every.mean()), f"{name}_largest": float(every.max())}
    return found


def _show(rows: Sequence[Row], edge: int) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    images = len({row.image for row in rows})
    title = f"{images} images, tiles of {edge}: levels that steps differ by from one piece"
    table = Table("quality", title=title, title_justify="left")
    kinds = "border", "beside", "middle"
    for heading in kinds:
        table.add_column(f"{heading}, mean", justify="right")
        table.add_column("largest", justify="right")
    for quality in sorted({row.quality for row in rows}):
        here = [row for row in rows if row.quality == quality]
        cells = []
        for kind in kinds:
            cells.append(f"{np.mean([getattr(row, kind) for row in here]):.2f}")
            largest = max(getattr(row, f"{kind}_largest") for row in here)
            cells.append(f"{largest:.0f}")
        table.add_row(f"{quality:g}", *cells)
    Console(highlight=False).print(table)


def command(
    folder: options.Folder,
    out: options.Out,
    model: Annotated[str, typer.Option("--model", "-m", help="One of ours.")] = MODEL_DEFAULT,
    quality: Annotated[str, typer.Option("--quality", "-q", help="Between commas.")] = "10,50,90",
    tile: Annotated[int, typer.Option(min=64, help="Edge of tiles, a multiple of 64.")] = 256,
    limit: options.Limit = None,
    device: options.Device = "auto",
) -> None:
    """Compare pictures coded in tiles with the same in one piece, where tiles meet.

    Pictures must be larger than a tile. Writes seams.json.
    """
    with options.naming("--quality"):
        qualities = lists.qualities(quality)
    if tile % 64:
        raise typer.BadParameter(f"found {tile}, allowed are multiples of 64", param_hint="--tile")
    failures = Failures()
    with failures.caught(), tempfile.TemporaryDirectory() as scratch:
        coder = coders.ours(model, tuple(qualities), device)
        with options.naming("--model"):
            measure.fingerprint(coder)
        cut, one = (replace(coder, options={**coder.options, "tile": edge}) for edge in (tile, 0))
        rows: list[Row] = []
        out.mkdir(parents=True, exist_ok=True)
        for path, pixels in measure.each(folder, limit, "seams"):
            if min(pixels.shape[:2]) <= tile:
                failures.add(f"{path}: left out: found no larger than a tile of {tile} pixels")
                continue
            for each in qualities:
                tiled, whole = (
                    measure.code(coder, each, pixels, Path(scratch)).pixels for coder in (cut, one)
                )
                rows.append(Row(path.name, each, **_compare(tiled, whole, tile)))
        if rows:  # or what an earlier run found would go
            _show(rows, tile)
            found = {"model": model, "tile": tile, "rows": [asdict(row) for row in rows]}
            files.write_text(out / "seams.json", json.dumps(found, indent=1) + "\n")
            typer.echo(str(out / "seams.json"))
    failures.exit()
