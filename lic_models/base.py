"""What a model is: analysis, one coding order, synthesis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from .integer import IntConv2d

__all__ = ["Latents", "Mixture", "Model", "Step", "Steps"]

Latents = dict[str, Tensor]


@dataclass(frozen=True)
class Mixture:
    """K Gaussians for each symbol of a step, placed around the step's mean.

    Attributes:
        offset: (K, B, C, ...) integers in 1/16 of a step, from the step's mean to each Gaussian's.
        index: integers 0..63 into the scale table, shaped alike.
        weight: integers that sum to 256 over the K, shaped alike.
    """

    offset: Tensor
    index: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Step:
    """One batch of symbols that are coded together.

    Attributes:
        latent: name of the latent, a key of what `analyse` returns.
        channels: which of its channels.
        positions: (N,) the positions coded in this step (`positions.py`); None for all of them.
        mean: integers in 1/16 of a step; (B, C, H, W), or (B, C, 1, N) at positions.
        index: integers 0..63 into the scale table, shaped alike; 0 is not coded at all.
        mixture: the density, if a scale is not enough; `index` is then its largest.
    """

    latent: str
    channels: slice
    positions: Tensor | None
    mean: Tensor
    index: Tensor
    mixture: Mixture | None = None


Steps = Generator[Step, Tensor, None]


class Model(nn.Module, ABC):
    """A learned image codec without its entropy coder.

    Every tensor is NCHW. `level` is (B,) float, in training its shares (B, ANCHORS) as
    `anchor_shares` has them; `steps` of frozen weights take one integer, and one image. It is
    100 times the quality, 100 to 10000, which nothing checks here.
    """

    name: ClassVar[str]
    model_id: ClassVar[int]
    paper: ClassVar[str]
    stride: ClassVar[int] = 64  # padded image sizes are multiples of this
    # dataclasses of whole numbers, from `weights.CONFIG_MIN` to 4096, and tuples of them:
    # "shipped", "paper" (published), "toy" (tests)
    configs: ClassVar[dict[str, Any]]
    pixels: ClassVar[int] = 16  # per sample of y
    halo: ClassVar[int] = 8  # samples of y around a region that its pixels depend on, at most
    sequential: ClassVar[bool] = False  # whether y is coded in steps too small to train on

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @property
    def reach(self) -> int:
        """Samples of y around one that its pixels depend on; weights must not exceed the halo."""
        return 0

    @classmethod
    def configure(cls, **values: Any) -> Any:
        """Return the shipped configuration with these values in it."""
        return replace(cls.configs["shipped"], **values)

    @abstractmethod
    def analyse(self, x: Tensor, level: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [0, 1] to y, real-valued, in units of a step."""

    @abstractmethod
    def regain(self, y: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Bring what `analyse` gave at one level to another nearby, without the transform.

        Nearly what `analyse` gives there: the transform itself depends on the level a little.
        """

    @abstractmethod
    def latents(self, y: Tensor, level: Tensor) -> Latents:
        """Return everything that is coded: y itself and the hyper-latents made from it."""

    @abstractmethod
    def shapes(self, height: int, width: int) -> dict[str, tuple[int, int, int]]:
        """Return (C, H, W) of each latent for a padded image size."""

    @abstractmethod
    def steps(
        self,
        shapes: dict[str, tuple[int, int, int]],
        level: Any,
        known: Tensor | None = None,
    ) -> Steps:
        """Yield the steps in coding order.

        Receives each step's dequantised values, integers in 1/16 of a step, shaped as its mean.
        One that is `sequential` takes `known`, y in 1/16 of a step, as contexts in place of what
        it receives, and yields positions together that a decoder meets one after another.
        """

    @abstractmethod
    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """Map dequantised latents, in units of a step, to images in [0, 1] (not yet clamped)."""

    def integer_layers(self) -> dict[str, IntConv2d]:
        """Return the layers of the entropy path by name, in a fixed order."""
        return {n: m for n, m in self.named_modules() if isinstance(m, IntConv2d)}

    def config_dict(self) -> dict[str, Any]:
        return asdict(self.config)
