"""What training minimises: bits per pixel plus lambda times distortion, level by level."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..base import Model
from ..distortions import TUNES
from ..entropy import UNIT, estimate, nearest, noisy
from ..integer import anchor_shares
from ..levels import LMBDA_MAX, LMBDA_MIN, lmbda
from ..tunes import PLAIN

__all__ = ["ONLY", "RESTORING", "SYNTHESIS", "TRANSFORMS", "Objective", "weigh"]

TRANSFORMS = ("g_a", "g_s", "gain", "inverse_gain")  # what models with other contexts can share
RESTORING = "lrp"  # residual prediction: its layers sum as many inputs as strided ones do
SYNTHESIS = ("g_s", "inverse_gain", RESTORING)  # what makes a picture of y as it was decoded
ONLY = ("rate", "distortion")  # what a run can serve alone

BALANCE = 0.55  # loss grows about as lambda^0.55; dividing it out lets every level count alike


def weigh(bpp: Tensor, distortion: Tensor, level: Tensor) -> Tensor:
    """Loss (B,) of bits per pixel and squared error of images in [0, 1], or its like, each (B,)."""
    weight = lmbda(level)
    middle = math.sqrt(LMBDA_MIN * LMBDA_MAX)
    loss: Tensor = (bpp + weight * 255**2 * distortion) * (weight / middle) ** -BALANCE
    return loss


class Objective(nn.Module):
    """The loss as a module, so that data parallelism can wrap it.

    With `only` one of `ONLY` the other stays as it is. For "rate" the transforms do, and residual
    prediction, and nothing is synthesised in training; for "distortion" all but the synthesis does,
    which learns from y_hat as it will be decoded. `tune` is a key of `TUNES`.
    Without `precise` they train in 16 bits: bfloat16 on CPUs, whose rounding is not small beside
    that of the highest qualities (at 100 it takes 0.6 dB, at 50 less than 0.1 dB), and float16, an
    eighth as coarse, on GPUs.
    """

    def __init__(
        self, model: Model, only: str | None = None, precise: bool = False, tune: str = PLAIN
    ) -> None:
        super().__init__()
        self.model, self.only, self.precise, self.tune = model, only, precise, tune
        self.loose = False
        for name, parameter in model.named_parameters():
            part = name.partition(".")[0]
            if only == "rate":
                parameter.requires_grad_(part not in (*TRANSFORMS, RESTORING))
            elif only == "distortion":
                parameter.requires_grad_(part in SYNTHESIS)

    def loosen(self, loose: bool) -> None:
        """Train without the rounding in integer layers, or with it, as at the start.

        Without it a step has two fifths fewer kernels, which is what a GPU spends its time on. The
        figures of a trained model are nearly the same, and rounded again it soon makes up for it.
        """
        self.loose = loose
        for layer in self.model.integer_layers().values():
            layer.loose = loose

    @staticmethod
    def reduced(device: torch.device) -> torch.dtype:
        """Type of what trains in 16 bits."""
        return torch.float16 if device.type == "cuda" else torch.bfloat16

    @property
    def brief(self) -> bool:
        """Whether training takes y for images: neither transform has a part in it."""
        return self.only == "rate" and self.training

    def _half(self, device: torch.device) -> torch.autocast:
        """Compute in 16 bits where that trains."""
        fast = self.training and not self.precise
        return torch.autocast(device.type, dtype=self.reduced(device), enabled=fast)

    def analyse(self, x: Tensor, shares: Tensor) -> Tensor:
        """y (B, M, H/16, W/16) of images (B, 3, H, W) in [0, 1], for shares of levels."""
        with self._half(x.device):
            return self.model.analyse(x, shares)

    def forward(self, given: Tensor, level: Tensor, noise: bool = True) -> dict[str, Tensor]:
        """Return `loss` (scalar), `bpp` and `distortion` (B,) for images (B, 3, H, W) in [0, 1].

        Also `x_hat`, and `y_hat` (B, M, H/16, W/16) in units of a step. While `brief` it is given
        their y, and distortion and x_hat are left out.
        """
        shares = anchor_shares(level)
        rounding = nearest if self.only == "distortion" or not noise else noisy
        y = given if self.brief else self.analyse(given, shares)
        with self._half(given.device):
            latents = self.model.latents(y, shares)
        latents, bits = estimate(self.model, latents, shares, rounding)
        y_hat = latents["y"] / UNIT
        bpp = bits / (y[0, 0].numel() * self.model.pixels**2)
        if self.brief:
            loss = weigh(bpp, torch.zeros_like(bpp), level).mean()
            return {"loss": loss, "bpp": bpp, "y_hat": y_hat}
        with self._half(given.device):
            x_hat = self.model.synthesise(y_hat, shares)
        if not self.training:
            x_hat = x_hat.clamp(0, 1)
        distortion = TUNES[self.tune].distortion(x_hat.float(), given)
        loss = weigh(bpp, distortion, level).mean()
        return {"loss": loss, "bpp": bpp, "distortion": distortion, "x_hat": x_hat, "y_hat": y_hat}
