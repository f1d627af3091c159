"""Photos in memory, crops out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..photos import read

__all__ = ["LUMA", "Photos", "readable"]

SHRINK_MAX = 1.8  # random downscaling hides the coding artefacts of the training files
HALVED = 0.4  # share of crops that get chroma of half the resolution, as most cameras store it
GRAINY = 0.35  # share of crops that get grain: training files have lost theirs
GRAIN_MAX = 5 / 255  # standard deviation
GROUPS = 8  # of crops in a batch; those in one have their shrinking, turning and grain in common
LUMA = (0.299, 0.587, 0.114)


def readable(path: Path) -> Tensor:
    """Return what `read` does, or of a file that it cannot read, with a warning, no pixels."""
    try:
        return read(path)
    except ValueError as error:
        warnings.warn(f"left out: {error}", stacklevel=2)
        return torch.empty(3, 0, 0, dtype=torch.uint8)


class Photos:
    """Random crops from photos kept as uint8.

    Args:
        paths: image files; those that cannot be read are left out, with a warning, and those of
            less than `patch` pixels on a side.
        patch: edge of a crop in pixels.
        device: where photos are kept and crops are made.
    """

    def __init__(self, paths: Sequence[Path], patch: int, device: torch.device) -> None:
        with ThreadPoolExecutor() as pool:
            photos = [p for p in pool.map(readable, paths) if min(p.shape[1:]) >= patch]
        self.photos = [p.to(device) for p in photos]
        if not self.photos:
            raise ValueError(f"data: found no photo of at least {patch} x {patch} pixels")
        area = np.array([p.shape[1] * p.shape[2] for p in self.photos], dtype=np.float64)
        self.share = area / area.sum()
        self.patch = patch

    def batch(self, size: int, random: np.random.Generator) -> Tensor:
        """Return crops (size, 3, patch, patch), float in [0, 1]."""
        sizes = [len(part) for part in np.array_split(np.arange(size), min(size, GROUPS))]
        return torch.cat([self._crops(count, random) for count in sizes])

    def _crops(self, count: int, random: np.random.Generator) -> Tensor:
        photos = [self.photos[i] for i in random.choice(len(self.photos), count, p=self.share)]
        least = min(min(photo.shape[1:]) for photo in photos)
        most = min(SHRINK_MAX, least / self.patch)
        shrink = random.uniform(1, most) if random.random() < 0.6 else 1.0
        edge = min(round(self.patch * shrink), least)
        parts = []
        for photo in photos:
            top = random.integers(photo.shape[1] - edge + 1)
            left = random.integers(photo.shape[2] - edge + 1)
            parts.append(photo[:, top : top + edge, left : left + edge])
        crops = torch.stack(parts)
        if crops.device.type != "cpu":  # bytes are faster where they go
            crops = crops.float()
        if edge != self.patch:
            size = (self.patch, self.patch)
            crops = F.interpolate(crops, size, mode="bicubic", antialias=True)
        crops = _taken((crops.float() / 255).clamp(0, 1), random)
        if random.random() < 0.5:
            crops = crops.flip(3)
        if random.random() < 0.2:
            crops = crops.transpose(2, 3)
        return crops


def _taken(x: Tensor, random: np.random.Generator) -> Tensor:
    """Give images (B, 3, H, W) in [0, 1] the soft chroma and the grain of camera files, or not."""
    if random.random() < HALVED:
        red, green, blue = LUMA  # not as a tensor, which a GPU would have to wait for
        luma = red * x[:, :1] + green * x[:, 1:2] + blue * x[:, 2:]
        chroma = F.avg_pool2d(x - luma, 2)
        x = (luma + F.interpolate(chroma, scale_factor=2, mode="bilinear")).clamp(0, 1)
    if random.random() < GRAINY:
        luma, chroma = torch.randn_like(x[:, :1]), torch.randn_like(x) / 4
        x = (x + random.uniform(0, GRAIN_MAX) * (luma + chroma)).clamp(0, 1)
    return x
