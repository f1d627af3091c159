"""The passes of a step, forward and back: gradients from images, at once or as a recording."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .objective import Objective

__all__ = ["Passes", "Recorded"]

LOUDER = 2.0**10  # factor on the loss in float16, whose smallest number is 6e-8
WARM = 3  # passes before a recording, in which libraries choose how to compute


class Passes:
    """Leaves the gradients of an objective's parameters in them.

    Args:
        objective: whose. forward: the same, or what wraps it.
    """

    def __init__(self, objective: Objective, forward: nn.Module) -> None:
        self.objective, self.forward = objective, forward

    def __call__(self, x: Tensor, level: Tensor) -> dict[str, Tensor]:
        """Go through images (B, 3, H, W) at levels (B,); returns what the objective does."""
        half = self.objective.reduced(x.device)
        loud = half == torch.float16 and not self.objective.precise
        factor = LOUDER if loud else 1.0
        self.objective.zero_grad(set_to_none=True)
        out: dict[str, Tensor] = self.forward(x, level)
        (out["loss"] * factor).backward()  # type: ignore[no-untyped-call]
        if loud:
            found = [p.grad for p in self.objective.parameters() if p.grad is not None]
            torch._foreach_mul_(found, 1 / factor)
        return out


class Recorded:
    """`Passes` as a CUDA graph, for batches like the first: its thousands of kernels start as one.

    What it returns is overwritten by the next call, and so are the gradients.
    """

    def __init__(self, passes: Passes, x: Tensor, level: Tensor) -> None:
        self.x, self.level = x.clone(), level.clone()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM):
                passes(self.x, self.level)
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.out = passes(self.x, self.level)

    def __call__(self, x: Tensor, level: Tensor) -> dict[str, Tensor]:
        """Go through images and levels of the shapes recorded."""
        self.x.copy_(x)
        self.level.copy_(level)
        self.graph.replay()
        return self.out
