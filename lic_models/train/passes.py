"""The passes of a step, forward and back, and recordings of what a GPU repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .objective import Objective

__all__ = ["Passes", "Recorded"]

LOUDER = 2.0**10  # factor on the loss in float16, whose smallest number is 6e-8
WARM = 3  # calls before a recording, in which libraries choose how to compute


class Passes:
    """Leaves the gradients of an objective's parameters in them, clipped.

    Args:
        objective: whose. forward: the same, or what wraps it. clip: largest norm of the gradient.
    """

    def __init__(self, objective: Objective, forward: nn.Module, clip: float) -> None:
        self.objective, self.forward, self.clip = objective, forward, clip

    def __call__(self, x: Tensor, level: Tensor) -> dict[str, Tensor]:
        """Go through images, or their y, at levels (B,); returns what the objective does.

        Also `norm`, that of the gradient of the model before it was clipped.
        """
        half = self.objective.reduced(x.device)
        loud = half == torch.float16 and not self.objective.precise
        factor = LOUDER if loud else 1.0
        # what needs no integers needs no more than 11 bits of a factor either
        torch.backends.cudnn.allow_tf32 = self.objective.loose and not self.objective.precise
        self.objective.zero_grad(set_to_none=True)
        out: dict[str, Tensor] = self.forward(x, level)
        (out["loss"] * factor).backward()  # type: ignore[no-untyped-call]
        torch.backends.cudnn.allow_tf32 = False
        if loud:
            found = [p.grad for p in self.objective.parameters() if p.grad is not None]
            torch._foreach_mul_(found, 1 / factor)
        norm = nn.utils.clip_grad_norm_(self.objective.model.parameters(), self.clip)
        return {**out, "norm": norm}


class Recorded:
    """A function of tensors as a CUDA graph: its thousands of kernels start as one.

    For tensors shaped like the first. The first calls are not recorded, nor is what comes of them
    lost. What later ones return is overwritten by the next, and so are gradients that they leave.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0
        self.graph: Any = None
        self.given: list[Tensor] = []
        self.found: Any = None

    def __call__(self, *given: Tensor) -> Any:
        """Call the function, or what has been recorded of it."""
        self.calls += 1
        if self.calls <= WARM:
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                found = self.function(*given)
            torch.cuda.current_stream().wait_stream(aside)
            return found
        if self.graph is None:
            self.given = [each.clone() for each in given]
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.found = self.function(*self.given)
        for own, each in zip(self.given, given, strict=True):
            own.copy_(each)
        self.graph.replay()
        return self.found
