"""The linear start: transforms begin as a hierarchical PCA, not as noise.

Each stage takes the principal components of 2x2 blocks of the stage before; the synthesis is the
transpose. Residual branches start at zero. Before any training this is an orthonormal block
transform with sensible steps and scales, and learning starts from there.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..base import Model
from ..entropy import LOG_RATIO
from ..layers import Gain, ResidualBottleneck
from ..levels import ANCHORS, LEVEL_MIN, SPACING, lmbda
from ..tables import INDICES, SCALE_MIN

__all__ = ["anchor_step", "linear_start", "scale_index"]

Z_SCALE = 1.5  # of the hyper-latent at the start, in steps


def anchor_step(row: int) -> float:
    """Step that balances rate and distortion at high rate: step^2 = 26 / (lambda 255^2)."""
    return math.sqrt(26 / lmbda(LEVEL_MIN + row * SPACING)) / 255


def scale_index(scale: Tensor) -> Tensor:
    """Real-valued index into the scale table."""
    return ((scale / SCALE_MIN).clamp_min(1e-3).log() / LOG_RATIO).clamp(0, INDICES - 1)


def _principal(features: Tensor, keep: int) -> Tensor:
    """Orthonormal rows (keep, C, 2, 2) of the 2x2 blocks of features (B, C, H, W)."""
    blocks = F.pixel_unshuffle(features, 2)  # (B, C * 4, H / 2, W / 2), channel-major
    rows = blocks.transpose(0, 1).flatten(1).double()
    _, vectors = torch.linalg.eigh(rows @ rows.T / rows.shape[1])
    basis = vectors.flip(1)[:, :keep].T.float()
    return basis.reshape(keep, features.shape[1], 2, 2)


@torch.no_grad()
def _set_stage(conv: nn.Conv2d, deconv: nn.ConvTranspose2d, basis: Tensor) -> None:
    keep, used = basis.shape[:2]
    pad = int(conv.padding[0])
    window = slice(pad, pad + 2)
    for layer in (conv, deconv):
        assert layer.bias is not None
        layer.bias.zero_()
    conv.weight[:keep] = 0
    conv.weight[:keep, :used, window, window] = basis
    deconv.weight[:, :used] = 0
    deconv.weight[:keep, :used, window, window] = basis


@torch.no_grad()
def linear_start(model: Model, images: Tensor) -> None:
    """Initialise a model of strided `g_a.convs` and `g_s.convs` from images (B, 3, H, W)."""
    for module in model.modules():
        if isinstance(module, ResidualBottleneck):
            nn.init.zeros_(module.last.weight)
            nn.init.zeros_(module.last.bias)  # type: ignore[arg-type]
    features = images - 0.5
    for conv, deconv in zip(model.g_a.convs, reversed(list(model.g_s.convs)), strict=True):
        basis = _principal(features, min(4 * features.shape[1], conv.out_channels))
        _set_stage(conv, deconv, basis)
        features = F.conv2d(features, basis, stride=2)
    scales = features.transpose(0, 1).flatten(1).std(1)  # of y in pixel units
    assert isinstance(model.gain, Gain) and isinstance(model.inverse_gain, Gain)
    for row in range(ANCHORS):
        model.gain.log[row] = -math.log(anchor_step(row))
        model.inverse_gain.log[row] = math.log(anchor_step(row))
        start = 0
        for heads in model.parameters_y:
            size = heads.index.bias.shape[1]
            scale = scales[start : start + size] / anchor_step(row)
            heads.index.bias[row] = scale_index(scale) / 2**heads.index.frac_out
            start += size
    level = torch.full((len(images),), LEVEL_MIN + SPACING * ANCHORS / 2, device=images.device)
    spread = model.latents(model.analyse(images, level), level)["z"].std()
    model.h_a[-1].weight *= Z_SCALE / spread
    z_index = scale_index(torch.tensor(Z_SCALE)) / 2**model.prior_z.index.frac_out
    model.prior_z.index.bias.fill_(float(z_index))
