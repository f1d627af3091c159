"""Image files as tensors. The only place in this package that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .folders import inside

__all__ = ["find", "read"]

SUFFIXES = {".avif", ".bmp", ".jpg", ".jpeg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
WITHOUT_WHITE = ("I", "F")  # modes of numbers of any size


def find(folders: Sequence[Path]) -> list[Path]:
    """Return all image files below the folders, sorted.

    Raises ValueError if there are none, OSError if a folder cannot be read.
    """
    every = (path for folder in folders for path in inside(folder, SUFFIXES))
    found = sorted({path.resolve(): path for path in every}.values())  # each once
    if not found:
        raise ValueError(f"data: found no images in {[str(f) for f in folders]}")
    return found


def read(path: Path) -> Tensor:
    """Return an image as uint8 (3, H, W), channels innermost in memory.

    Opacity is left out, 16 bits become 8. Raises ValueError if it cannot be read, or if its mode
    does not say what is white.
    """
    try:
        with Image.open(path) as image:
            if image.mode in WITHOUT_WHITE:
                raise ValueError(f"mode: found {image.mode}, which does not say what is white")
            if image.mode.startswith("I;16"):
                grey = (np.asarray(image) / 257).round().astype(np.uint8)
                pixels = np.stack([grey] * 3, 2)
            else:
                pixels = np.array(image.convert("RGB"))
    except (OSError, RuntimeError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: {error}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)
