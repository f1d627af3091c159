"""Benchmark results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .photo import Timing
from .results import GAIN_RANGE, Point, Summary

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["points", "summary", "timings"]


def _table(title: str, first: str, *others: str) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    table.add_column(first, overflow="fold")  # names of models differ at their ends
    for name in others:
        table.add_column(name, justify="right")
    return table


def points(name: str, version: str, images: int, curve: Sequence[Point]) -> Table:
    """Return a coder's curve."""
    headings = "bpp", "PSNR dB", "MS-SSIM", "encode s", "decode s"
    title = f"{name} ({version}): {images} images, medians of seconds"
    table = _table(title, "quality", *headings)
    for point in curve:
        table.add_row(
            f"{point.quality:g}",
            f"{point.bpp:.4f}",
            f"{point.psnr:.3f}",
            f"{point.ms_ssim:.5f}",
            f"{point.encode_s:.3f}",
            f"{point.decode_s:.3f}",
        )
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f} %"


def _falls(found: Summary) -> str:
    return ", ".join(f"{a:g} to {b:g}" for a, b in found.falls) or "-"


def summary(found: Sequence[Summary], anchor: str) -> Table:
    """Return all coders against an anchor."""
    low, high = GAIN_RANGE
    title = f"BD-rates against {anchor}; gain: least dB of PSNR, {low:g} to {high:g} bpp"
    columns = "bpp", "PSNR", "MS-SSIM", "gain", "falls at", "est./real"
    table = _table(title, "coder", *columns)
    for each in found:
        gain = each.least_gain[anchor]
        table.add_row(
            each.coder,
            f"{each.bpp[0]:.2f}-{each.bpp[1]:.2f}",
            _percent(each.bd_psnr[anchor]),
            _percent(each.bd_ms_ssim[anchor]),
            "-" if gain is None else f"{gain:+.2f}",
            _falls(each),
            "-" if each.estimated is None else f"{each.estimated:.4f}",
        )
    return table


def timings(photo: str, found: Sequence[Timing]) -> Table:
    """Return what one photo takes."""
    headings = "quality", "bpp", "encode s", "decode s", "encode MiB", "decode MiB"
    table = _table(f"{photo}, {found[0].megapixels:.2f} megapixels", "model", *headings)
    for each in found:
        memory = (each.encode_memory, each.decode_memory)
        table.add_row(
            each.model,
            f"{each.quality:g}",
            f"{8 * each.file_bytes / each.megapixels / 1e6:.3f}",
            f"{each.encode_s:.3f}",
            f"{each.decode_s:.3f}",
            *("-" if size is None else f"{size / 2**20:.0f}" for size in memory),
        )
    return table
