"""The linear start: transforms begin as a hierarchical PCA, not as noise.

Each stage takes the principal components of 2x2 blocks of the stage before; the synthesis is the
transpose. Residual branches start at zero. Before any training this is an orthonormal block
transform with sensible steps and scales, and learning starts from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..entropy import LOG_RATIO, UNIT, estimate, nearest
from ..hyper import Hyperprior
from ..integer import IntConv2d
from ..layers import Branch
from ..levels import ANCHORS, LEVEL_MIN, SPACING, lmbda
from ..tables import INDICES, SCALE_MIN

__all__ = [
    "anchor_step",
    "arrange",
    "fits",
    "linear_start",
    "reordered",
    "scale_index",
]

Z_SCALE = 0.4  # of the hyper-latent at the start, in steps: nothing uses it yet, so few bits
FEW = 48  # inputs of a branch's last layer; with more, steps of Adam move its output too far
# What a model must have, and in it what knows y's channels by place, beside transforms and h_a.
NEEDED = "g_a.convs", "g_s.convs", "gain.log", "inverse_gain.log", "config.groups", "parameters_y"
CODING = {"channel", "context", "lrp", "parameters_y", "spatial"}
HIDDEN = 4.0  # spread of hidden integer layers at the start


def anchor_step(row: int) -> float:
    """Step that balances rate and distortion at high rate: step^2 = 26 / (lambda 255^2)."""
    return math.sqrt(26 / float(lmbda(LEVEL_MIN + row * SPACING))) / 255


def scale_index(scale: Tensor) -> Tensor:
    """Real-valued index into the scale table."""
    return ((scale / SCALE_MIN).clamp_min(1e-3).log() / LOG_RATIO).clamp(0, INDICES - 1)


def _principal(features: Tensor, keep: int) -> Tensor:
    """Orthonormal rows (keep, C, 2, 2) of the 2x2 blocks of features (B, C, H, W)."""
    blocks = F.pixel_unshuffle(features, 2)  # (B, C * 4, H / 2, W / 2), channel-major
    rows = blocks.transpose(0, 1).flatten(1).double()
    _, vectors = torch.linalg.eigh(rows @ rows.T / rows.shape[1])
    basis: Tensor = vectors.flip(1)[:, :keep].T.float()
    return basis.reshape(keep, features.shape[1], 2, 2)


@torch.no_grad()
def _set_stage(conv: nn.Conv2d, deconv: nn.ConvTranspose2d | nn.Conv2d, basis: Tensor) -> None:
    keep, used = basis.shape[:2]
    pad = int(conv.padding[0])
    window = slice(pad, pad + 2)
    for layer in (conv, deconv):
        assert layer.bias is not None
        layer.bias.zero_()
    conv.weight[:keep] = 0
    conv.weight[:keep, :used, window, window] = basis
    if isinstance(deconv, nn.ConvTranspose2d):
        deconv.weight[:, :used] = 0
        deconv.weight[:keep, :used, window, window] = basis
    else:  # sub-pixel: four outputs, row by row, for each channel of twice the size
        centre = deconv.kernel_size[0] // 2
        deconv.weight[: 4 * used] = 0
        deconv.weight[: 4 * used, :keep, centre, centre] = basis.flatten(1).T


def _middle(images: Tensor) -> Tensor:
    """A level near the middle, for each of the images."""
    return torch.full((len(images),), LEVEL_MIN + SPACING * ANCHORS / 2, device=images.device)


def _balance(
    layer: nn.Conv2d | IntConv2d, weight: Tensor, x: Tensor, floor: float, target: float
) -> None:
    """Scale `weight` so that each input channel weighs alike and outputs spread by `target`.

    Principal components differ by orders of magnitude: left alone, brightness drowns texture.
    """
    spread = x.transpose(0, 1).flatten(1).std(1).clamp_min(floor)
    layer.weight.copy_(weight / spread[None, :, None, None])
    live = layer.live_weight() if isinstance(layer, IntConv2d) else layer.weight
    out = F.conv2d(x, live, padding=live.shape[2] // 2)
    layer.weight *= target / out.std().clamp_min(1e-6)


@contextmanager
def _balancing(
    model: nn.Module, kind: type[nn.Module], known: Collection[str] = ()
) -> Iterator[None]:
    """While active, balance every layer (of a kind) that feeds on others as data reaches it.

    Those whose parameters are `known` stay as they are.
    """

    handles = []
    drawn: dict[nn.Module, Tensor] = {}  # a layer that runs twice is balanced for the second time

    def hook(floor: float, target: float) -> Callable[[Any, Any], None]:
        def run(layer: Any, args: Any) -> None:
            weight = drawn.setdefault(layer, layer.weight.clone())
            _balance(layer, weight, args[0].float(), floor, target)

        return run

    for name, module in model.named_modules():
        if not isinstance(module, kind) or f"{name}.first.weight" in known:
            continue
        if isinstance(module, Branch):
            handles.append(module.first.register_forward_pre_hook(hook(0.01, 1.0)))
        elif isinstance(module, IntConv2d) and not module.inward:
            handles.append(module.register_forward_pre_hook(hook(UNIT, HIDDEN * UNIT)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def arrange(groups: Sequence[int]) -> list[int]:
    """Order of principal components in y: leading ones shared out, groups filled with rare ones.

    The first components hold most of the bits. In one group they could not serve each other as
    context.
    """
    last = len(groups) - 1
    leads = [size * (k + 1) // (2 * last) for k, size in enumerate(groups[:-1])] + [groups[-1]]
    order: list[int] = []
    first, rare = 0, sum(groups)
    for size, lead in zip(groups, leads, strict=True):
        order += range(first, first + lead)
        order += range(rare - (size - lead), rare)
        first, rare = first + lead, rare - (size - lead)
    return order


@torch.no_grad()
def linear_start(model: Any, images: Tensor, instead: Mapping[str, Tensor] = {}) -> None:
    """Initialise a model of strided `g_a.convs` and `g_s.convs` from images (B, 3, H, W).

    The model has gains, `config.groups` and an entropy path of integer layers.
    `instead`: parameters to have in place of linear ones, by name. Raises ValueError, naming what
    is missing, for a model of another kind.
    """
    for name in NEEDED:
        try:
            attrgetter(name)(model)
        except AttributeError:
            raise ValueError(f"model: found {model.name} without {name}, allowed is with") from None
    steps = torch.tensor([anchor_step(row) for row in range(ANCHORS)])
    for module in model.modules():
        if isinstance(module, Branch):
            nn.init.zeros_(module.last.weight)
            nn.init.zeros_(module.last.bias)  # type: ignore[arg-type]
            module.gain.log.fill_(math.log(min(1.0, FEW / module.last.weight[0].numel())))
    features = images - 0.5
    for conv, deconv in zip(model.g_a.convs, reversed(list(model.g_s.convs)), strict=True):
        basis = _principal(features, min(4 * features.shape[1], conv.out_channels))
        if conv is model.g_a.convs[-1] and len(basis) == sum(model.config.groups):
            basis = basis[arrange(model.config.groups)]
        _set_stage(conv, deconv, basis)
        features = F.conv2d(features, basis, stride=2)
    model.gain.log.copy_(-steps.log()[:, None])
    model.inverse_gain.log.copy_(steps.log()[:, None])
    model.load_state_dict(instead, strict=False)
    _entropy_start(model, images)
    level = _middle(images)
    with _balancing(model, Branch, instead):
        model.synthesise(model.analyse(images, level), level)
    model.load_state_dict(instead, strict=False)  # again: the entropy path was scaled


def fits(model: nn.Module, other: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What another model's state has by the same name and shape."""
    own = model.state_dict()
    return {k: v for k, v in other.items() if k in own and own[k].shape == v.shape}


@torch.no_grad()
def reordered(model: Any, known: Mapping[str, Tensor], images: Tensor) -> dict[str, Tensor]:
    """The transforms in `known`, y's channels in the order of a linear start; h_a and h_s too.

    Args:
        model: one whose transforms are those of GDN, any other works on y's channels further.
        known: its transforms, maybe h_a. images: (B, 3, H, W) in [0, 1].
    """
    model.load_state_dict(known, strict=False)
    level = _middle(images)
    spread = model.analyse(images, level).transpose(0, 1).flatten(1).std(1)
    order = spread.argsort(descending=True)[arrange(model.config.groups)]
    axes = {
        "g_a.convs.3.weight": (0, order),
        "g_a.convs.3.bias": (0, order),
        "gain.log": (1, order),
        "inverse_gain.log": (1, order),
        "g_s.convs.0.weight": (0, order),
        "h_a.0.weight": (1, torch.cat([order, order + len(order)])),
    }
    moved = {k: known[k].index_select(*axes[k]) for k in axes if k in known}
    return {k: t for k, t in {**known, **moved}.items() if k.partition(".")[0] not in CODING}


@torch.no_grad()
def _entropy_start(model: Any, images: Tensor) -> None:
    """Initialise the entropy path for the transforms as they are, from images (B, 3, H, W)."""
    for row in range(ANCHORS):
        level = torch.full((len(images),), float(LEVEL_MIN + row * SPACING), device=images.device)
        y = model.analyse(images, level)
        index = scale_index(y.transpose(0, 1).flatten(1).std(1))
        sizes = model.config.groups
        for heads, part in zip(model.parameters_y, torch.split(index, sizes), strict=True):
            heads.start(row, part)
    if not isinstance(model, Hyperprior):
        return
    _hyper_start(model, images)
    level = _middle(images)
    y = model.analyse(images, level)
    with _balancing(model, IntConv2d):
        estimate(model, model.latents(y, level), level, nearest)


@torch.no_grad()
def _hyper_start(model: Hyperprior, images: Tensor) -> None:
    """Initialise h_a and the prior of z for y as it is, from images (B, 3, H, W).

    Half of what h_a's ReLUs see is above 0: where nothing is, nothing is ever learned.
    """
    level = _middle(images)
    y = model.analyse(images, level)
    with _centring(model.h_a[0]):
        model.latents(y, level)
    last: Any = model.h_a[-1]
    last.weight *= Z_SCALE / model.latents(y, level)["z"].std()
    last.bias -= model.latents(y, level)["z"].mean((0, 2, 3))
    z_index = scale_index(torch.tensor(Z_SCALE)) / 2**model.prior_z.index.frac_out
    model.prior_z.index.bias.fill_(float(z_index))


@contextmanager
def _centring(layer: Any) -> Iterator[None]:
    """While active, balance a layer as data reaches it, and centre each of its outputs."""

    def run(layer: Any, args: Any) -> None:
        _balance(layer, layer.weight.clone(), args[0].float(), 0.05, 1.0)
        outputs = F.conv2d(args[0], layer.weight, padding=layer.padding)
        layer.bias.copy_(-outputs.mean((0, 2, 3)))

    handle = layer.register_forward_pre_hook(run)
    try:
        yield
    finally:
        handle.remove()
