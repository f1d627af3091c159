"""What models share: transforms with gains, and around a hyper-latent h_a, the prior of z, h_s.

    x --g_a--> y --gain--> round ---------------------> y_hat --1/gain--> g_s --> x_hat
               |             ^ mean, scale
               h_a           |
               |          steps_y, a model's own (contexts)
               z             ^
               +--> round -> h_s

A subclass brings its transforms and says in which steps y is coded.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .base import Latents, Model, Step, Steps
from .integer import saturate
from .integer_blocks import IntStack, Prior
from .layers import Gain, LevelBias

__all__ = ["GdnWidths", "HyperWidths", "Hyperprior", "Transformed", "Widths"]


@dataclass(frozen=True)
class Widths:
    """Widths of a model; the defaults, here and in subclasses, are those that ship.

    M: channels of y; a linear transform with 192 of the 768 would end at 41 dB, with 320 at 47 dB.
    """

    M: int = 320

    def __post_init__(self) -> None:
        if sum(self.groups) != self.M:
            raise ValueError(f"groups: found {self.groups}, allowed are such that sum to {self.M}")

    @property
    def groups(self) -> tuple[int, ...]:
        """Channels of y that share a coding step."""
        return (self.M,)


@dataclass(frozen=True)
class HyperWidths(Widths):
    """Z: channels of z. hyper: width of h_a and h_s; features: of h_s's output."""

    Z: int = 96
    hyper: int = 128
    features: int = 192


@dataclass(frozen=True)
class GdnWidths(HyperWidths):
    """N: channels of GDN transforms."""

    N: int = 96


class Transformed(Model):
    """A model of two transforms with gains, whose configuration has M.

    Args:
        config: of the subclass.
        g_a, g_s: transforms between images centred on zero and y, each called with the level.
    """

    def __init__(self, config: Any, g_a: nn.Module, g_s: nn.Module) -> None:
        super().__init__(config)
        self.g_a, self.g_s = g_a, g_s
        self.gain, self.inverse_gain = Gain(config.M), Gain(config.M)

    @property
    def reach(self) -> int:
        found: int = self.g_s.reach  # type: ignore[assignment]
        return found

    def analyse(self, x: Tensor, level: Tensor) -> Tensor:
        y: Tensor = self.gain(self.g_a(x - 0.5, level).float(), level)
        return y

    def regain(self, y: Tensor, before: Tensor, after: Tensor) -> Tensor:
        gained: Tensor = self.gain(y / self.gain(torch.ones_like(y[:, :, :1, :1]), before), after)
        return gained

    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        out: Tensor = self.g_s(self.inverse_gain(y_hat, level), level).float() + 0.5
        return out


class Hyperprior(Transformed):
    """One whose configuration also has Z, hyper and features."""

    def __init__(self, config: Any, g_a: nn.Module, g_s: nn.Module) -> None:
        super().__init__(config, g_a, g_s)
        c = config
        self.h_a_bias = LevelBias(c.hyper)
        self.h_a = nn.ModuleList(
            (
                nn.Conv2d(2 * c.M, c.hyper, 3, padding=1),
                nn.Conv2d(c.hyper, c.hyper, 5, stride=2, padding=2),
                nn.Conv2d(c.hyper, c.Z, 5, stride=2, padding=2),
            )
        )
        self.prior_z = Prior(c.Z)
        self.h_s = IntStack((c.Z, c.hyper, c.hyper, c.features), kernel=3, ups=2)

    def latents(self, y: Tensor, level: Tensor) -> Latents:
        z = torch.cat([torch.asinh(y), torch.log1p(y.abs())], 1)
        z = torch.relu(self.h_a_bias(self.h_a[0](z), level))
        z = self.h_a[2](torch.relu(self.h_a[1](z)))
        return {"z": z.float(), "y": y}

    def shapes(self, height: int, width: int) -> dict[str, tuple[int, int, int]]:
        c = self.config
        return {
            "z": (c.Z, height // 64, width // 64),
            "y": (c.M, height // 16, width // 16),
        }

    def steps(
        self,
        shapes: dict[str, tuple[int, int, int]],
        level: Any,
        known: Tensor | None = None,
    ) -> Steps:
        z_hat = yield Step("z", slice(None), None, *self.prior_z(shapes["z"], level))
        yield from self.steps_y(self.h_s(saturate(z_hat), level), level, known)

    @abstractmethod
    def steps_y(self, features: Tensor, level: Any, known: Tensor | None) -> Steps:
        """Yield the steps of y, given integer features (B, features, H/16, W/16).

        `known`: see `Model.steps`; of use only to models that are `sequential`.
        """
