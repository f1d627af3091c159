"""What is compared: our models and codecs for Pillow, each as save options and a scale."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from lic_models.tunes import PLAIN

__all__ = ["RIVALS", "Coder", "ours", "searching"]


@dataclass(frozen=True)
class Coder:
    """A way to write a file at a quality.

    Attributes:
        name: in tables and results.
        suffix: of its files, which chooses Pillow's writer.
        options: for `save`, beside the quality.
        qualities: that `lic bench` measures unless told others; of rivals, about 0.1 to 2.5 bpp.
        device: where to decode; None where there is no choice.
        scale: the option of `save` that `qualities` are values of.
    """

    name: str
    suffix: str
    options: dict[str, Any] = field(default_factory=dict)
    qualities: tuple[float, ...] = ()
    device: str | None = None
    scale: str = "quality"

    def save_options(self, quality: float) -> dict[str, Any]:
        """Return all options for `save`; rivals take whole numbers only."""
        return {**self.options, self.scale: quality if self.device else round(quality)}


_JPEG_SCALE = (2, 5, 9, 14, 20, 30, 45, 62, 76, 86, 92)
_AVIF = {"subsampling": "4:2:0", "speed": 6}
_HEIC = {"chroma": 420}
_AVIF_SCALE = (8, 16, 25, 34, 43, 52, 62, 72, 81, 89)

RIVALS = {
    rival.name: rival
    for rival in (
        Coder(
            "jpeg",
            ".jpg",
            {"subsampling": "4:2:0", "optimize": True, "progressive": True},
            _JPEG_SCALE,
        ),
        Coder(
            "mozjpeg",
            ".mozjpeg",
            {
                "subsample_mode": "on",  # 4:2:0
                "interlace": True,
                "optimize_coding": True,
                "optimize_scans": True,
                "trellis_quant": True,
                "overshoot_deringing": True,
                "quant_table": 3,  # the one that its own command line takes
            },
            _JPEG_SCALE,
        ),
        Coder("webp", ".webp", {"method": 6}, (0, 5, 15, 30, 45, 60, 75, 84, 91, 96)),
        Coder("avif", ".avif", _AVIF, _AVIF_SCALE),
        Coder("avif-slow", ".avif", {**_AVIF, "speed": 2}, _AVIF_SCALE),
        # Pillow's default tunes for the eye; in decibels this is the fairer rival.
        Coder("avif-psnr", ".avif", {**_AVIF, "advanced": {"tune": "psnr"}}, _AVIF_SCALE),
        # In decibels of RGB, colour at half the resolution is a handicap, but what photos have.
        Coder(
            "avif-444",
            ".avif",
            {**_AVIF, "subsampling": "4:4:4", "advanced": {"tune": "psnr"}},
            _AVIF_SCALE,
        ),
        Coder("heic", ".heic", _HEIC, (12, 20, 26, 32, 38, 44, 50, 56, 62, 67)),
        Coder(
            "heic-psnr",
            ".heic",
            {**_HEIC, "enc_params": {"tune": "psnr"}},
            (5, 12, 18, 24, 30, 36, 42, 49, 56, 63),
        ),
        Coder(
            "jxl",
            ".jxl",
            {"effort": 7, "num_threads": 0},
            (3, 12, 20, 30, 42, 55, 68, 80, 88, 93),
        ),
    )
}


def ours(
    model: str, qualities: tuple[float, ...], device: str, effort: int = 0, tune: str = PLAIN
) -> Coder:
    """Return the coder of one of our models."""
    options = {"model": model, "device": device, "effort": effort, "tune": tune}
    name = f"{model} effort {effort}" if effort else model
    name = name if tune == PLAIN else f"{name} {tune}"
    return Coder(name, ".lic", options, qualities, device)


def searching(coder: Coder, scale: str, values: tuple[float, ...]) -> Coder:
    """Return that coder of ours with rate control: `values` of `scale` in place of qualities."""
    return replace(coder, name=f"{coder.name} {scale}", scale=scale, qualities=values)
