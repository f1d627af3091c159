"""Muon: steps along matrices whose directions all count alike (Jordan et al., 2024)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Muon", "orthogonal"]

SPREAD = 0.2  # root mean square of a step at a rate of 1: about Adam's (Liu et al., 2025)
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


def orthogonal(matrices: Tensor) -> Tensor:
    """Bring singular values of (K, rows, columns) near 1, by Newton-Schulz iterations."""
    a, b, c = QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x.bfloat16() if x.is_cuda else x  # directions need no more digits
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-12)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = x.mT if tall else x
    return found.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For weights of convolutions, as matrices of what is outside by all else.

    Those of one shape take their steps together: a model has many of few shapes. Learning rates
    are those of Adam.
    """

    def __init__(self, params: Iterable[Any], momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": 1e-3, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step; `closure` is not used."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, alike in shapes.items():
                gradient = torch.stack([p.grad for p in alike if p.grad is not None])
                state = self.state[alike[0]]
                if not state:
                    state["momentum"] = torch.zeros_like(gradient)
                share = group["momentum"]
                state["momentum"].lerp_(gradient, 1 - share)
                ahead = torch.lerp(gradient, state["momentum"], share).flatten(2)
                found = orthogonal(ahead).view(len(alike), *shape)
                factor = SPREAD * max(ahead.shape[1:]) ** 0.5
                torch._foreach_add_(alike, list((found * (-group["lr"] * factor)).unbind()))
