"""`lic grey`: what grey pictures take, beside the luma of the same pictures in colour."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..header import MODEL_DEFAULT
from . import coders, files, lists, measure, metrics, options
from .failures import Failures, missing_extra

if TYPE_CHECKING:
    from .metrics import Pixels

__all__ = ["command"]

Curve = list[tuple[float, float]]  # rates and PSNR
MIDDLE = 128  # luma of a picture that has chroma alone


@dataclass(frozen=True)
class Row:
    """One picture at one quality; all sizes are of real files, in bytes.

    Attributes:
        colour: the picture. grey: its luma, in mode L.
        chroma: the picture with its luma all the same, so far as RGB can show that.
        flat: a picture of one grey, which is what any file of this size takes.
        colour_psnr, grey_psnr: of luma, in dB.
    """

    image: str
    quality: float
    colour: int
    grey: int
    chroma: int
    flat: int
    colour_psnr: float
    grey_psnr: float

    @property
    def luma(self) -> int:
        """What the file in colour spends on luma: all but what chroma adds to a flat picture."""
        return self.colour - (self.chroma - self.flat)


def _luma(pixels: Pixels) -> Pixels:
    """Return RGB as RGB without colour."""
    import numpy as np
    from PIL import Image

    return np.array(Image.fromarray(pixels).convert("L").convert("RGB"))


def _chroma(pixels: Pixels) -> Pixels:
    """Return RGB with the same luma everywhere."""
    import numpy as np
    from PIL import Image

    bands = Image.fromarray(pixels).convert("YCbCr").split()
    luma = Image.new("L", bands[0].size, MIDDLE)
    return np.array(Image.merge("YCbCr", (luma, *bands[1:])).convert("RGB"))


def _rows(
    coder: coders.Coder, qualities: Sequence[float], name: str, pixels: Pixels, folder: Path
) -> list[Row]:
    import numpy as np

    luma, chroma, flat = _luma(pixels), _chroma(pixels), np.full_like(pixels, MIDDLE)
    rows = []
    for quality in qualities:
        colour, grey, tint, none = (
            measure.code(coder, quality, each, folder)
            for each in (pixels, luma[:, :, 0], chroma, flat)
        )
        psnr = [
            min(metrics.psnr(luma, _luma(each.pixels)), measure.PSNR_MAX) for each in (colour, grey)
        ]
        sizes = colour.size, grey.size, tint.size, none.size
        rows.append(Row(name, quality, *sizes, *psnr))
    return rows


def _summary(rows: Sequence[Row]) -> dict[str, float | None]:
    """BD-rates by luma PSNR, in percent, of grey files: against colour, and its share for luma."""
    import numpy as np

    curves: dict[str, Curve] = {"colour": [], "luma": [], "grey": []}
    for quality in sorted({row.quality for row in rows}):
        here = [row for row in rows if row.quality == quality]
        for name, points in curves.items():
            psnr = "grey_psnr" if name == "grey" else "colour_psnr"
            means = (np.mean([getattr(row, each) for row in here]) for each in (name, psnr))
            points.append((float(next(means)), float(next(means))))
    return {
        name: metrics.bd_rate_if_any(curves["grey"], curves[name]) for name in ("colour", "luma")
    }


def _show(name: str, rows: Sequence[Row], summary: dict[str, float | None]) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    images = len({row.image for row in rows})
    table = Table("quality", title=f"{name}: {images} images, mean bytes", title_justify="left")
    for heading in ("colour", "its luma", "grey", "luma PSNR dB", "of grey"):
        table.add_column(heading, justify="right")
    for quality in sorted({row.quality for row in rows}):
        mean = np.mean(
            [
                (row.colour, row.luma, row.grey, row.colour_psnr, row.grey_psnr)
                for row in rows
                if row.quality == quality
            ],
            0,
        )
        sizes, psnr = (f"{size:.0f}" for size in mean[:3]), (f"{each:.2f}" for each in mean[3:])
        table.add_row(f"{quality:g}", *sizes, *psnr)
    console = Console(highlight=False)
    console.print(table)
    for what, value in summary.items():
        shown = "none" if value is None else f"{value:+.1f} %"
        console.print(f"BD-rate of grey against {what}: {shown}")


def command(
    folder: options.Folder,
    out: options.Out,
    model: Annotated[str, typer.Option("--model", "-m", help="One of ours.")] = MODEL_DEFAULT,
    quality: Annotated[
        str, typer.Option("--quality", "-q", help="Two or more, between commas.")
    ] = "10,25,50,75,100",
    limit: options.Limit = None,
    device: options.Device = "auto",
) -> None:
    """Compare grey files with what files in colour spend on luma, at the same luma PSNR.

    That share is a file's bytes less those that chroma adds to a flat picture. Writes grey.json.
    """
    with options.naming("--quality"):
        qualities = lists.qualities(quality)
        if len(qualities) < 2:
            raise ValueError(f"found {quality}, allowed are two or more")
    failures = Failures()
    with failures.caught(), missing_extra(), tempfile.TemporaryDirectory() as scratch:
        metrics.check_extra()
        coder = coders.ours(model, tuple(qualities), device)
        with options.naming("--model"):
            measure.fingerprint(coder)
        rows: list[Row] = []
        out.mkdir(parents=True, exist_ok=True)
        for path, pixels in measure.each(folder, limit, "grey"):
            rows += _rows(coder, qualities, path.name, pixels, Path(scratch))
        summary = _summary(rows)
        _show(model, rows, summary)
        found = {"bd_rate": summary, "rows": [{**asdict(row), "luma": row.luma} for row in rows]}
        files.write_text(out / "grey.json", json.dumps(found, indent=1) + "\n")
        typer.echo(str(out / "grey.json"))
    failures.exit()
