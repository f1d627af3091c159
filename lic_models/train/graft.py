"""A hyperprior that has learned to speak, for a model that has learned to do without.

Beside contexts that learn faster, z falls silent: what it costs is felt before what it says is of
use. Where the first step of y knows nothing else, that is dear. A model without contexts has to use
its z, so theirs is where to take one from; what reads its features then has to learn to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..entropy import UNIT, estimate, nearest
from ..hyper import Hyperprior
from ..levels import ANCHORS, LEVEL_MIN, SPACING
from .revive import stacks

__all__ = ["HYPERPRIOR", "graft"]

HYPERPRIOR = ("h_a", "h_a_bias", "prior_z", "h_s")
LAST = "g_a.convs.3.weight"  # whose rows say which channel of y is which
NEAR = 0.05  # most that a row may be off, as a share of its norm: weights are stored in few digits


@torch.no_grad()
def graft(model: Any, other: Mapping[str, Tensor], images: Tensor) -> None:
    """Give a model the hyperprior of another with the same transforms.

    Nothing takes its features at first. Into the biases of layers that will goes what features were
    before, on average at each level.

    Args:
        model: a `Hyperprior`.
        other: parameters of the other by name; y's channels may have another order.
        images: (B, 3, H, W) in [0, 1], for these averages.
    Raises ValueError if the other lacks a hyperprior that fits, or has other transforms.
    """
    if not isinstance(model, Hyperprior):
        raise ValueError(f"found {model.name}, allowed are models with a hyperprior")
    own = {k: t for k, t in model.state_dict().items() if k.partition(".")[0] in HYPERPRIOR}
    for name, tensor in own.items():
        if name not in other or other[name].shape != tensor.shape:
            raise ValueError(f"found none of {tuple(tensor.shape)} for {name}")
    first = "h_a.0.weight"
    order = _order(model.state_dict()[LAST], other.get(LAST))
    moved = other[first][:, torch.cat([order, order + len(order)])]
    _settle(model, images)
    model.load_state_dict({**{name: other[name] for name in own}, first: moved}, strict=False)


def _order(rows: Tensor, others: Tensor | None) -> Tensor:
    """Where among the others each row is; ValueError if one is missing."""
    if others is None or others.shape != rows.shape:
        raise ValueError(f"found none of {tuple(rows.shape)} for {LAST}")
    rows, others = rows.flatten(1), others.flatten(1)
    far, order = torch.cdist(rows, others).min(1)
    if bool((far > NEAR * rows.norm(dim=1)).any()) or len(set(order.tolist())) < len(order):
        raise ValueError(f"found other rows in {LAST}, allowed are the same in any order")
    return order


def _settle(model: Hyperprior, images: Tensor) -> None:
    """Put what features are on average into biases, and take no features any more."""
    _, takers = next(stacks(model))
    found: list[Tensor] = []
    handle = model.h_s.register_forward_hook(lambda _, given, out: found.append(out))
    try:
        for row in range(ANCHORS):
            level = torch.full((len(images),), float(LEVEL_MIN + row * SPACING))
            level = level.to(images.device)
            estimate(model, model.latents(model.analyse(images, level), level), level, nearest)
            features = found[-1].mean((0, 2, 3)) / UNIT
            found.clear()
            for layer, start in takers:
                taken = layer.weight[:, start : start + len(features), 0, 0]
                layer.bias[row] += taken @ features
    finally:
        handle.remove()
    for layer, start in takers:
        layer.weight[:, start : start + len(features)] = 0
