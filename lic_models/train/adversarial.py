"""Training of generative models: a conditional discriminator and a comparison of textures.

The loss of HiFiC (Mentzer et al., 2020) with its learned perceptual distance replaced by
`texture_distance`, which needs no pretrained network: how strong each wavelet band is around each
place, which is what the eye keeps of a texture when it cannot follow every grain.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ..base import Model
from .data import LUMA
from .objective import Objective

__all__ = ["AdversarialObjective", "Discriminator", "texture_distance"]

SLOPE = 0.2
LOWPASS = 0.4829629, 0.8365163, 0.2241439, -0.1294095  # of Daubechies' wavelet of four taps
OCTAVES = 3  # compared
WINDOW = 8  # samples of a band whose energy is taken together
FLOOR = 1 / 255  # of a band, in units of the pixel range: what nobody sees
OPPONENT = (LUMA, (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))  # Y, Cb, Cr
SHARE = 0.8, 0.1, 0.1  # of these in the distance: grain has little colour, and invented ones show
TEXTURE = 0.25  # weights in the loss; by gradients, texture is about as strong as squared error
REALISM = 0.02


def _octave(x: Tensor) -> tuple[Tensor, Tensor]:
    """One step of a wavelet transform: (B, C, h, w) of half the size, bands (B, 3, C, h, w).

    With two vanishing moments: slopes, which any codec keeps, are no grain.
    """
    low = x.new_tensor(LOWPASS)
    high = low.flip(0) * x.new_tensor((1, -1, 1, -1))
    kernels = torch.stack([torch.outer(a, b) for a in (low, high) for b in (low, high)])
    out = F.conv2d(x.flatten(0, 1)[:, None], kernels[:, None], stride=2)
    out = out.reshape(*x.shape[:2], 4, *out.shape[2:]).transpose(1, 2)
    return out[:, 0], out[:, 1:]


def _seen(x: Tensor) -> Tensor:
    """Luma and two chroma planes, (B, 3, H, W), of RGB images."""
    return torch.einsum("oc,bchw->bohw", x.new_tensor(OPPONENT), x)


def texture_distance(x: Tensor, other: Tensor) -> Tensor:
    """Mean distance (B,) between the log energies of wavelet bands in windows; 0 if equal.

    Images are RGB, (B, 3, H, W) in [0, 1].
    """
    share = x.new_tensor(SHARE)
    total = torch.zeros(len(x), device=x.device)
    x, other = _seen(x), _seen(other)
    for _ in range(OCTAVES):
        x, here = _octave(x)
        other, there = _octave(other)
        window = min(WINDOW, *here.shape[3:])
        pairs = (F.avg_pool2d(bands.flatten(1, 2).square(), window) for bands in (here, there))
        first, second = ((energy + FLOOR**2).log() for energy in pairs)
        distance = (first - second).abs().mean((2, 3)).reshape(-1, 3, 3)  # bands, planes
        total = total + distance.mean(1) @ share
    return total / OCTAVES


class Discriminator(nn.Module):
    """Patches of an image, real or not, given the latents it was decoded from."""

    def __init__(self, M: int, width: int = 32) -> None:
        super().__init__()
        self.latent = spectral_norm(nn.Conv2d(M, 12, 3, padding=1))
        widths = (3 + 12, width, 2 * width, 4 * width)
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in pairwise(widths)
        )
        self.last = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, x: Tensor, y_hat: Tensor) -> Tensor:
        """Logits (B, 1, H/8, W/8) of images (B, 3, H, W) and latents (B, M, H/16, W/16)."""
        given = F.leaky_relu(self.latent(torch.asinh(y_hat)), SLOPE)
        given = F.interpolate(given, size=x.shape[2:], mode="nearest")
        x = torch.cat([x - 0.5, given], 1)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
        out: Tensor = self.last(x)
        return out


class AdversarialObjective(Objective):
    """Rate, squared error, texture and realism; `judge` is the discriminator's own loss.

    For one process: the discriminator's gradients are not shared.
    """

    def __init__(self, model: Model, only: str | None = None, precise: bool = False) -> None:
        super().__init__(model, only, precise)
        self.discriminator = Discriminator(model.config.M)

    def forward(self, x: Tensor, level: Tensor, noise: bool = True) -> dict[str, Tensor]:
        out = super().forward(x, level, noise)
        if not self.training:
            return out
        self.discriminator.requires_grad_(False)
        fooled = self.discriminator(out["x_hat"], out["y_hat"].detach())
        realism = F.softplus(-fooled).flatten(1).mean(1)
        texture = texture_distance(out["x_hat"], x)
        out["loss"] = out["loss"] + TEXTURE * texture.mean() + REALISM * realism.mean()
        return out

    def judge(self, x: Tensor, out: dict[str, Tensor]) -> Tensor:
        """Non-saturating loss of telling x from the x_hat of the last `forward`."""
        self.discriminator.requires_grad_(True)
        given = out["y_hat"].detach()
        real = self.discriminator(x, given)
        made = self.discriminator(out["x_hat"].detach(), given)
        return F.softplus(-real).mean() + F.softplus(made).mean()
