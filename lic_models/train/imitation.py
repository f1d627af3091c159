"""Imitation: transforms learn, stage by stage, to do what a trained model's transforms do.

Both models have four strided convolutions in `g_a.convs` and `g_s.convs`, of the same widths. What
goes into each of them is a stage's result. Every stage of the student gets what that stage of the
teacher gets, so none waits for another to learn, and none is disturbed by quantisation noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..base import Model
from ..entropy import UNIT, estimate, noisy
from ..integer import anchor_shares
from .linear import fits
from .objective import Objective, weigh

__all__ = ["ImitationObjective", "inherited"]


def _widths(model: Any) -> list[int]:
    return [conv.in_channels for conv in (*model.g_a.convs, *model.g_s.convs)]


@contextmanager
def _inputs(convs: nn.ModuleList) -> Iterator[list[Tensor]]:
    """While active, collects what goes into each layer."""
    found: list[Tensor] = []
    handles = [c.register_forward_pre_hook(lambda _, args: found.append(args[0])) for c in convs]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


class ImitationObjective(Objective):
    """Bits of the student's entropy model for the teacher's y, and how far stages are apart.

    The linear chains are near orthonormal: an error in what a stage gives counts as one in pixels.
    Evaluation is of the student alone, as ever.

    Raises ValueError if the student's transforms have no stages, or stages of other widths.
    """

    def __init__(self, model: Model, teacher: Any, precise: bool = False) -> None:
        super().__init__(model, precise=precise)
        if not hasattr(model.g_a, "stage"):
            raise ValueError(f"model: found {model.name!r}, allowed are those with stages")
        found, allowed = _widths(model), _widths(teacher)
        if found != allowed:
            raise ValueError(f"widths: found {found}, allowed are the teacher's {allowed}")
        student: Any = model
        for gain in (student.gain, student.inverse_gain):  # inherited, and not used here
            gain.requires_grad_(False)
        self._teacher = (teacher.eval().requires_grad_(False),)  # no part of the state

    def forward(self, x: Tensor, level: Tensor, noise: bool = True) -> dict[str, Tensor]:
        if not self.training:
            return super().forward(x, level, noise)
        (teacher,) = self._teacher
        student: Any = self.model
        fast, half = not self.precise, self.reduced(x.device)
        shares = anchor_shares(level)
        with torch.autocast(x.device.type, dtype=half, enabled=fast):
            with torch.no_grad(), _inputs(teacher.g_a.convs) as down:
                down.append(teacher.g_a(x - 0.5, shares))
            latents = student.latents(teacher.gain(down[-1].float(), shares), shares)
        latents, bits = estimate(student, latents, shares, noisy)
        y_hat = latents["y"].detach() / UNIT
        with torch.autocast(x.device.type, dtype=half, enabled=fast):
            with torch.no_grad(), _inputs(teacher.g_s.convs) as up:
                given = teacher.inverse_gain(y_hat, shares)
                last = teacher.g_s(given, shares)
            up = [given, *up, last]
            errors = _errors(student.g_a, down, shares) + _errors(student.g_s, up, shares)
        distortion = errors / x[0].numel()
        bpp = bits / (x.shape[2] * x.shape[3])
        loss = weigh(bpp, distortion, level).mean()
        return {"loss": loss, "bpp": bpp, "distortion": distortion, "y_hat": y_hat}


def _errors(transform: Any, results: list[Tensor], level: Tensor) -> Tensor:
    """Sum (B,) of squared differences, over all stages, from a teacher's results."""
    total = torch.zeros(len(level), device=level.device)
    for i, (given, wanted) in enumerate(pairwise(results)):
        error = transform.stage(i, given, level).float() - wanted.float()
        total = total + error.square().flatten(1).sum(1)
    return total


@torch.no_grad()
def inherited(model: Model, teacher: Any) -> dict[str, Tensor]:
    """Parameters of the teacher that fit the model; deconvolutions become sub-pixel ones."""
    own, other = model.state_dict(), teacher.state_dict()
    for name, module in teacher.g_s.named_modules(prefix="g_s"):
        if isinstance(module, nn.ConvTranspose2d) and own[f"{name}.weight"].ndim == 4:
            weight = _subpixel(module)
            assert module.bias is not None
            bias = module.bias.repeat_interleave(4)
            if own[f"{name}.weight"].shape == weight.shape:
                other |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return fits(model, other)


def _subpixel(deconv: nn.ConvTranspose2d) -> Tensor:
    """Weight (4 C', C, 3, 3) that does the same before a pixel shuffle."""
    inputs = deconv.in_channels
    impulses = deconv.weight.new_zeros(inputs, inputs, 5, 5)
    impulses[torch.arange(inputs), torch.arange(inputs), 2, 2] = 1
    assert deconv.bias is not None
    out = deconv(impulses) - deconv.bias[:, None, None]
    return F.pixel_unshuffle(out, 2)[:, :, 1:4, 1:4].flip(2, 3).transpose(0, 1).contiguous()
