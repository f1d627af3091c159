"""Puts several versions of one photo side by side: the whole, a detail one to one, a label."""

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

    @property
    def bpp(self) -> float:
        """Bits per pixel; 0 of the original."""
        pixels = self.pixels.shape[0] * self.pixels.shape[1]
        return 8 * self.coded.size / pixels if self.coded else 0.0

    def label(self) -> str:
        """Return two lines of text."""
        if self.coded is None or self.psnr is None:
            return f"{self.title}\n{self.pixels.shape[1]} x {self.pixels.shape[0]} pixels"
        numbers = f"{self.coded.size:,} bytes, {self.bpp:.3f} bpp, {self.psnr:.2f} dB"
        return f"{self.title}, quality {self.quality:g}\n{numbers}"


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    from PIL import ImageFont, features

    return ImageFont.load_default(_TEXT if features.check("freetype2") else None)


def _detail(size: tuple[int, int], focus: tuple[float, float]) -> tuple[int, int, int, int]:
    """Return the box of a square around a point given as shares of width and height."""
    starts = [
        min(max(round(share * side - _DETAIL / 2), 0), max(side - _DETAIL, 0))
        for share, side in zip(focus, size, strict=True)
    ]
    left, top = starts
    return left, top, min(left + _DETAIL, size[0]), min(top + _DETAIL, size[1])


def _overview(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Return the whole picture, at most as wide as a detail, which is marked in it."""
    from PIL import ImageDraw

    small = image.copy()
    small.thumbnail((_DETAIL, _DETAIL))
    scale = small.width / image.width
    left, top, right, bottom = (round(scale * side) for side in box)
    marked = left, top, max(right - 1, left), max(bottom - 1, top)
    ImageDraw.Draw(small).rectangle(marked, outline="white")
    return small


def side_by_side(panels: list[Panel], focus: tuple[float, float]) -> Image.Image:
    """Return one picture of all panels, each a column: overview, detail, label."""
    from PIL import Image, ImageDraw

    images = [Image.fromarray(panel.pixels) for panel in panels]
    box = _detail(images[0].size, focus)
    overviews = [_overview(image, box) for image in images]
    detail_top = _MARGIN + overviews[0].height + _MARGIN
    text_top = detail_top + box[3] - box[1] + _MARGIN
    step = _DETAIL + _MARGIN
    picture = Image.new("RGB", (step * len(panels) + _MARGIN, text_top + 3 * _TEXT), "white")
    draw, font = ImageDraw.Draw(picture), _font()
    for index, (panel, image, overview) in enumerate(zip(panels, images, overviews, strict=True)):
        left = _MARGIN + index * step
        picture.paste(overview, (left, _MARGIN))
        picture.paste(image.crop(box), (left, detail_top))
        draw.multiline_text((left, text_top), panel.label(), fill="black", font=font)
    return picture
