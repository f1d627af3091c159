"""Rate-distortion curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .results import Point

__all__ = ["plot"]


def plot(curves: Mapping[str, Sequence[Point]], dashed: Sequence[str], path: Path) -> None:
    """Draw PSNR and MS-SSIM over bits per pixel to a PNG file, some curves dashed."""
    from matplotlib.figure import Figure  # not pyplot, which picks a window system

    figure = Figure(figsize=(12, 5), layout="constrained")
    for panel, (measure, label) in enumerate(
        (("psnr", "PSNR (dB)"), ("ms_ssim_db", "MS-SSIM (dB)"))
    ):
        axes = figure.add_subplot(1, 2, panel + 1)
        for name, points in curves.items():
            style = {"linestyle": "--", "linewidth": 1.0} if name in dashed else {"linewidth": 1.8}
            rates = [point.bpp for point in points]
            values = [getattr(point, measure) for point in points]
            axes.plot(rates, values, marker=".", label=name, **style)
        axes.set(xlabel="bits per pixel", ylabel=label)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120, format="png")
