"""Learned image codecs on tensors and bytes: networks, exact entropy coding, trained weights.

    codec = lic_models.load("elic")
    data = codec.encode(x, quality=75)      # x: (3, H, W) in [0, 1]
    x_hat = codec.decode(data)

Importing this package does not import torch; the functions below do, on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import errors
from .levels import level_from_quality
from .registry import model_id, model_name, names
from .tunes import PLAIN

if TYPE_CHECKING:
    from .codec import Codec

__all__ = [
    "errors",
    "installed",
    "level_from_quality",
    "load",
    "model_id",
    "model_name",
    "names",
    "tuned",
]


def load(
    name: str | int,
    device: str = "auto",
    fingerprint: bytes | None = None,
    tune: str = PLAIN,
) -> Codec:
    """Return a codec: the model of that name or id, with its newest or the named weights.

    All who load it in this process share it, `Image.save` too; who changes its model copies it
    first (`copy.deepcopy`).

    Args:
        name: a registered name or permanent id.
        device: "auto", "cpu", "cuda", ...
        fingerprint: 8 bytes that name the weights; None for the newest installed.
        tune: "psnr" or "ms-ssim", what these should be trained for, if the model has such weights.

    Raises:
        UnknownModel, WeightsNotFound, WeightsError: see `lic_models.errors`.
        ValueError: for another tune, or a device that is not at hand.
    """
    from .codec import load

    return load(name, device, fingerprint, tune)


def installed() -> list[str]:
    """Return the names of the models that have weights here, ordered by id."""
    from .weights import installed

    return [name for name in names() if installed(name)]


def tuned(name: str) -> list[str]:
    """Return what a model's installed weights were trained for: "psnr", "ms-ssim" or both."""
    from .weights import installed

    return sorted({found.tune for found in installed(name)}, reverse=True)
