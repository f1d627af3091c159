"""New life for dead units: those whose ReLU lets nothing through, for any image at any level.

Large steps leave units where their ReLU gives 0 for all that comes, and no gradient leads back.
What they compute does not matter, so their inputs get new weights, and what takes their outputs
takes none of them: the model computes what it did before, and has something to learn again
(Sokar et al., The Dormant Neuron Phenomenon in Deep Reinforcement Learning, ICML 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..entropy import UNIT, estimate, nearest
from ..hyper import Hyperprior
from ..integer import IntConv2d
from ..integer_blocks import IntStack
from ..layers import ResidualBottleneck
from ..levels import LEVEL_MAX, LEVEL_MIN

__all__ = ["revive", "share_alive", "stacks"]

FLOOR = 0.05  # least spread of an input that is believed
SPREAD = 1.0  # of what the ReLU of a new unit gets, for float layers
HIDDEN = 4.0 * UNIT  # and for integer ones
LEAST = 0.1  # of the spread that usual inputs would give, where they are nearly the same everywhere
LIFT = 0.25  # of the spread asked for, above 0 on average

Takers = list[tuple[Any, int]]  # layers that take a ReLU's outputs, from which input on


class _Watch:
    """Sees every layer before a ReLU at work.

    alive: units (O,) of each that are above 0 anywhere.
    drawn: once these are known, new weights for those that are not.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.alive: dict[Any, Tensor] = {}
        self.drawn: dict[Any, Tensor] | None = None

    def run(self, images: Tensor, level: Tensor) -> None:
        """Compute all there is, of images (B, 3, H, W) at levels (B,)."""
        model = self.model
        with self.hooks(level):
            latents = model.latents(model.analyse(images, level), level)
            decoded, _ = estimate(model, latents, level, nearest)
            model.synthesise(decoded["y"] / UNIT, level)

    @contextmanager
    def hooks(self, level: Tensor) -> Iterator[None]:
        """While active, look into modules as data reaches them."""
        handles = [
            module.register_forward_pre_hook(self.bottleneck)
            for module in self.model.modules()
            if isinstance(module, ResidualBottleneck)
        ]
        if isinstance(self.model, Hyperprior):
            look = self.hyper_analysis(level)
            handles.append(self.model.h_a[0].register_forward_pre_hook(look))
            handles += [
                stack.register_forward_pre_hook(self.stack(takers))
                for stack, takers in stacks(self.model)
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def bottleneck(self, block: Any, args: Any) -> None:
        x, level = args

        def enter(x: Tensor) -> Tensor:
            return F.relu(block.enter(x, level))

        inside = self.layer(block.first, x, enter, [(block.middle, 0)], block.bias.rows)
        self.layer(block.middle, inside, lambda x: F.relu(block.middle(x)), [(block.last, 0)])

    def hyper_analysis(self, level: Tensor) -> Callable[[Any, Any], None]:
        first, second, third = self.model.h_a
        bias = self.model.h_a_bias

        def enter(x: Tensor) -> Tensor:
            return F.relu(bias(_plain(first, x) + first.bias[:, None, None], level))

        def look(_: Any, args: Any) -> None:
            inside = self.layer(first, args[0], enter, [(second, 0)], bias.rows)
            self.layer(second, inside, lambda x: F.relu(second(x)), [(third, 0)])

        return look

    def stack(self, takers: Takers) -> Callable[[Any, Any], None]:
        def look(stack: Any, args: Any) -> None:
            a, level = args
            for i, layer in enumerate(stack.layers):
                after = stack.layers[i + 1 : i + 2]
                group = 4 if i < stack.ups else 1
                to = [(each, 0) for each in after] or takers
                a = self.layer(layer, a, partial(layer, level=level), to, group=group)
                a = F.pixel_shuffle(a, 2) if group > 1 else a

        return look

    def layer(
        self,
        layer: Any,
        x: Tensor,
        run: Callable[[Tensor], Tensor],
        takers: Takers,
        rows: Tensor | None = None,
        group: int = 1,
    ) -> Tensor:
        """Look at a layer, or mend it; returns what its ReLU lets through of an input.

        rows: biases (ANCHORS, O) beside its own. group: units that become one channel.
        """
        if self.drawn is not None:
            dead = ~self.alive[layer].view(-1, group).any(1)
            if dead.any():
                self.mend(layer, x, dead.repeat_interleave(group), rows)
                for taker, first in takers:
                    taker.weight[:, first : first + len(dead)][:, dead] = 0
        out = run(x)
        if self.drawn is None:
            fired = (out > 0).flatten(2).any(2).any(0)
            self.alive[layer] = fired | self.alive.get(layer, torch.zeros_like(fired))
        return out

    def mend(self, layer: Any, x: Tensor, dead: Tensor, rows: Tensor | None) -> None:
        """Give dead units (O,) new weights, with which they are above 0 for most of an input."""
        assert self.drawn is not None
        exact = isinstance(layer, IntConv2d)
        weight = self.drawn.setdefault(layer, torch.randn_like(layer.weight[dead]))
        spread = x.transpose(0, 1).flatten(1).std(1).clamp_min(UNIT if exact else FLOOR)
        weight = weight / spread[None, :, None, None]
        out = _plain(layer, x, weight)
        target = HIDDEN if exact else SPREAD
        usual = weight[0].numel() ** 0.5  # what comes of inputs that do spread
        scale = target / out.std((0, 2, 3)).clamp_min(LEAST * usual)
        layer.weight[dead] = weight * scale[:, None, None, None]
        bias = LIFT * target - out.mean((0, 2, 3)) * scale
        if exact:
            layer.bias[:, dead] = bias / UNIT
        else:
            layer.bias[dead] = bias
        if rows is not None:
            rows[:, dead] = 0


def _plain(layer: Any, x: Tensor, weight: Tensor | None = None) -> Tensor:
    """Convolve as a layer does, without its bias."""
    weight = layer.weight if weight is None else weight
    return F.conv2d(x, weight, stride=getattr(layer, "stride", 1), padding=weight.shape[2] // 2)


def stacks(model: Any) -> Iterator[tuple[IntStack, Takers]]:
    """Integer networks of a model's entropy path, and what takes their last outputs."""
    heads = list(model.parameters_y)
    firsts = [each.body.layers[0] if hasattr(each, "body") else each.index for each in heads]
    yield model.h_s, [(first, 0) for first in firsts]
    for stack, first in zip(getattr(model, "channel", ()), firsts[1:], strict=False):
        yield stack, [(first, model.config.features)]
    for each in (each for each in heads if hasattr(each, "body")):
        ends = (getattr(each, name, None) for name in ("mean", "index", "logit"))
        yield each.body, [(end, 0) for end in ends if end is not None]


@torch.no_grad()
def share_alive(model: nn.Module, images: Sequence[Tensor]) -> float:
    """Share of units before a ReLU that fire for any of images (1, 3, H, W), each at a level."""
    watch = _Watch(model)
    for x, level in zip(images, torch.linspace(LEVEL_MIN, LEVEL_MAX, len(images)), strict=True):
        watch.run(x, level[None].to(x.device))
    units = torch.cat(list(watch.alive.values())) if watch.alive else torch.ones(1)
    return float(units.float().mean())


@torch.no_grad()
def revive(model: nn.Module, images: Tensor) -> None:
    """Give units that never fire for images (B, 3, H, W) new weights, and take none of them yet.

    Units of bottlenecks and of the hyperprior's networks and contexts are looked after.
    """
    watch = _Watch(model)
    level = torch.linspace(LEVEL_MIN, LEVEL_MAX, len(images), device=images.device)
    watch.run(images, level)
    watch.drawn = {}
    watch.run(images, level)
