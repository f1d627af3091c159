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

__all__ = ["TRANSFORMS", "Objective", "weigh"]

TRANSFORMS = ("g_a", "g_s", "gain", "inverse_gain")  # what models with other contexts can share

BALANCE = 0.55  # loss grows about as lambda^0.55; dividing it out lets every level count alike


def weigh(bpp: Tensor, distortion: Tensor, level: Tensor) -> Tensor:
    """Loss (B,) of bits per pixel and squared error of images in [0, 1], or its like, each (B,)."""
    weight = lmbda(level)
    middle = math.sqrt(LMBDA_MIN * LMBDA_MAX)
    loss: Tensor = (bpp + weight * 255**2 * distortion) * (weight / middle) ** -BALANCE
    return loss


class Objective(nn.Module):
    """The loss as a module, so that data parallelism can wrap it.

    With `rate_only` the transforms stay as they are, and nothing is synthesised in training unless
    the model `restores` y_hat. `tune` is a key of `TUNES`.
    Without `precise` they train in 16 bits: bfloat16 on CPUs, whose rounding is not small beside
    that of the highest qualities (at 100 it takes 0.6 dB, at 50 less than 0.1 dB), and float16, an
    eighth as coarse, on GPUs.
    """

    def __init__(
        self, model: Model, rate_only: bool = False, precise: bool = False, tune: str = PLAIN
    ) -> None:
        super().__init__()
        self.model, self.rate_only, self.precise, self.tune = model, rate_only, precise, tune
        self.loose = False
        if rate_only:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name.partition(".")[0] not in TRANSFORMS)

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
        with torch.autocast(device, dtype=half, enabled=fast):
            latents = self.model.latents(self.model.analyse(x, shares), shares)
        latents, bits = estimate(self.model, latents, shares, noisy if noise else nearest)
        brief = self.rate_only and self.training and not self.model.restores
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
