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

    With `only` one of `ONLY` the other stays as it is. For "rate" the transforms do, and nothing is
    synthesised in training unless the model `restores` y_hat; for "distortion" all but the
    synthesis does, which learns from y_hat as it will be decoded. `tune` is a key of `TUNES`.
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
                parameter.requires_grad_(part not in TRANSFORMS)
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

    def forward(self, x: Tensor, level: Tensor, noise: bool = True) -> dict[str, Tensor]:
        """Return `loss` (scalar), `bpp` and `distortion` (B,) for images (B, 3, H, W) in [0, 1].

        Also `x_hat`, and `y_hat` (B, M, H/16, W/16) in units of a step.
        """
        fast = self.training and not self.precise
        device, half = x.device.type, self.reduced(x.device)
        shares = anchor_shares(level)
        rounding = nearest if self.only == "distortion" or not noise else noisy
        with torch.autocast(device, dtype=half, enabled=fast):
            latents = self.model.latents(self.model.analyse(x, shares), shares)
        latents, bits = estimate(self.model, latents, shares, rounding)
        brief = self.only == "rate" and self.training and not self.model.restores
        y_hat = latents["y"] / UNIT
        with torch.autocast(device, dtype=half, enabled=fast):
            x_hat = x if brief else self.model.synthesise(y_hat, shares)
        if not self.training:
            x_hat = x_hat.clamp(0, 1)
        distortion = TUNES[self.tune].distortion(x_hat.float(), x)
        bpp = bits / (x.shape[2] * x.shape[3])
        loss = weigh(bpp, distortion, level).mean()
        out = {"loss": loss, "bpp": bpp, "distortion": distortion}
        return {**out, "x_hat": x_hat, "y_hat": y_hat}
