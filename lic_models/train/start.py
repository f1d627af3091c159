"""Where a run of `fit` begins: at a file, at another model's transforms, or at a linear codec."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from torch import Tensor

from .. import registry, weights
from ..base import Model
from ..gdn import GdnAnalysis
from ..refusals import refusing
from .checkpoints import adopt, averaged
from .graft import graft
from .imitation import inherited
from .linear import fits, linear_start, reordered
from .objective import TRANSFORMS
from .revive import revive as mend

__all__ = ["begin", "teacher_of"]

ENOUGH = 16  # crops for averages at each level


def teacher_of(name: str) -> Model:
    """Return a model with its installed weights as they are trained; BadParameter if none are."""
    with refusing("teacher"):
        cls: Any = registry.lookup(name)
        model: Model = cls(cls.configure())
        path = weights.find(name).path
        adopt(model, weights.thaw(path), path)
    return model


def begin(
    network: Any,
    draw: Callable[[], Tensor],
    start: Path | None,
    transforms: Path | None,
    fitting: bool,
    reorder: bool,
    hyperprior: Path | None,
    revive: bool,
    taught: Model | None,
) -> None:
    """Fill a network, as the options of `fit` ask, with `draw()` (B, 3, H, W) where it has to.

    Raises BadParameter for files that are not what they should be.
    """
    known: dict[str, Tensor] = {}
    if transforms is not None:
        known = _transforms(network, transforms, fitting)
    elif taught is not None:
        known = inherited(network, taught)
    if start is not None:
        with refusing("start"):
            adopt(network, averaged(start), start)
    else:
        images = draw()
        if reorder:
            if not isinstance(network.g_a, GdnAnalysis):
                problem = f"found {network.name}, allowed are models with GDN"
                raise typer.BadParameter(problem, param_hint="reorder")
            known = reordered(network, known, images)
        with refusing():
            linear_start(network, images, known)
    network.load_state_dict(network.state_dict() | known)  # strictly
    if hyperprior is not None:
        with refusing("hyperprior"):
            graft(network, averaged(hyperprior), draw()[:ENOUGH])
    if revive:
        mend(network, draw())


def _transforms(network: Model, path: Path, fitting: bool) -> dict[str, Tensor]:
    """Return the transforms of a file, or all of it that fits."""
    with refusing("transforms"):
        other = averaged(path)
    known = fits(network, other)
    if not fitting:
        every = {name: t for name, t in other.items() if name.partition(".")[0] in TRANSFORMS}
        if odd := sorted(every.keys() - known.keys())[:1]:
            problem = f"found {path}, whose {odd[0]} {network.name} does not have: see --fitting"
            raise typer.BadParameter(problem, param_hint="transforms")
        return every
    if not any(name.partition(".")[0] in TRANSFORMS for name in known):
        problem = f"found {path}, of which no transform fits"
        raise typer.BadParameter(problem, param_hint="transforms")
    return known
