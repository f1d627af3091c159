"""Images as they come and go: arrays (H, W, 3) outside, tensors (3, H, W) inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Pixels", "as_array", "as_tensor", "real", "whole"]

WHITE = {torch.uint8: 255, torch.int32: 65535}

Pixels = NDArray[Any]  # uint8 or uint16


def as_tensor(pixels: Pixels | Tensor) -> Tensor:
    """Check an image and return it as (3, H, W): uint8, int32 of 16 bits, or float.

    Raises ValueError for another shape or type, or a float that is not in [0, 1].
    """
    if isinstance(pixels, Tensor):
        found = pixels.detach()  # refinement runs backwards: not into the caller's graph
        good = found.dim() == 3 and found.shape[0] == 3 and found.is_floating_point()
    else:
        good = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype in (np.uint8, np.uint16)
        wide = np.int32 if pixels.dtype == np.uint16 else pixels.dtype
        found = torch.from_numpy(np.require(pixels, wide, requirements=["C", "W"]))
        found = found.permute(2, 0, 1) if good else found
    if not good or 0 in found.shape:
        seen = f"{tuple(pixels.shape)} {pixels.dtype}"
        allowed = "uint8 or uint16 (H, W, 3) or float (3, H, W)"
        raise ValueError(f"image: found {seen}, allowed are {allowed}")
    if found.is_floating_point() and not (found.min() >= 0 and found.max() <= 1):  # or NaN
        low, high = float(found.min()), float(found.max())
        raise ValueError(f"image: found values from {low:g} to {high:g}, allowed are 0 to 1")
    return found


def real(x: Tensor) -> Tensor:
    """Return samples in [0, 1] as float."""
    return x.float() / WHITE[x.dtype] if x.dtype in WHITE else x.float()


def whole(x: Tensor, depth: int) -> Tensor:
    """Return real samples, changed in place, as whole numbers of 8 bits, uint8, or 16, int32."""
    x = x.nan_to_num_(0).clamp_(0, 1).mul_(2**depth - 1).round_()  # hostile latents overflow
    return x.to(torch.uint8 if depth == 8 else torch.int32)


def as_array(pixels: Tensor, depth: int) -> Pixels:
    """Return (3, H, W) as an array (H, W, 3) in C order."""
    kind = np.uint8 if depth == 8 else np.uint16
    return np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy(), kind)
