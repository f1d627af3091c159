"""Checkpoints of `fit` as files, and what is read of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import weights
from ..base import Model

__all__ = ["adopt", "averaged", "read"]


def read(path: Path) -> dict[str, Any]:
    """Return what `fit` or `average` wrote.

    Raises OSError, or ValueError if it is something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # of nearly any kind, as the bytes would have it
        raise ValueError(f"{path}: found no checkpoint of `fit`") from error
    if not isinstance(state, dict) or not isinstance(state.get("average"), dict):
        raise ValueError(f"{path}: found no checkpoint of `fit`")
    return state


def averaged(path: Path) -> dict[str, Tensor]:
    """Averaged weights of a checkpoint, or those of an exported file; raises as `read` does."""
    if path.suffix == ".safetensors":
        return weights.thaw(path)
    state: dict[str, Tensor] = read(path)["average"]
    return state


def adopt(model: Model, state: dict[str, Tensor], path: Path) -> None:
    """Give a model the weights of a file; ValueError if they are not of such a model."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: found weights that do not fit {model.name}") from error
