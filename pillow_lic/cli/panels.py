"""Puts details of several versions of one photo side by side, with labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .measure import Coded

if TYPE_CHECKING:
    from PIL import Image, ImageFont

    from .metrics import Pixels

__all__ = ["Panel", "side_by_side"]

_DETAIL = 400  # pixels of the photo that a panel shows, one to one
_MARGIN = 8
_TEXT = 17


@dataclass(frozen=True)
class Panel:
    """One version of the photo; the original has no quality and is not coded."""

    title: str
    pixels: Pixels
    quality: float | None = None
    coded: Coded | None = None
    psnr: float | None = None

    def label(self) -> str:
        """Return two lines of text."""
        if self.coded is None or self.psnr is None:
            return f"{self.title}\n{self.pixels.shape[1]} x {self.pixels.shape[0]} pixels"
        bpp = 8 * self.coded.size / (self.pixels.shape[0] * self.pixels.shape[1])
        numbers = f"{self.coded.size:,} bytes, {bpp:.2f} bpp, {self.psnr:.2f} dB"
        return f"{self.title}, quality {self.quality:g}\n{numbers}"


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    from PIL import ImageFont, features

    return ImageFont.load_default(_TEXT if features.check("freetype2") else None)


def _detail(pixels: Pixels, focus: tuple[float, float]) -> Pixels:
    """Return a square around a point given as shares of width and height."""
    height, width = pixels.shape[:2]
    wide, tall = min(_DETAIL, width), min(_DETAIL, height)
    left = min(max(round(focus[0] * width - wide / 2), 0), width - wide)
    top = min(max(round(focus[1] * height - tall / 2), 0), height - tall)
    return pixels[top : top + tall, left : left + wide]


def side_by_side(panels: list[Panel], focus: tuple[float, float]) -> Image.Image:
    """Return one picture of all panels in a row, labels below."""
    from PIL import Image, ImageDraw

    details = [Image.fromarray(_detail(panel.pixels, focus)) for panel in panels]
    step = max(details[0].width, _DETAIL) + _MARGIN
    text_top = details[0].height + 2 * _MARGIN
    size = (step * len(panels) + _MARGIN, text_top + 3 * _TEXT)
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), _font()
    for index, (panel, detail) in enumerate(zip(panels, details, strict=True)):
        left = _MARGIN + index * step
        picture.paste(detail, (left, _MARGIN))
        draw.multiline_text((left, text_top), panel.label(), fill="black", font=font)
    return picture
