"""A few kilobytes of ELIC: for tests, test vectors and the tutorial. Not for pictures."""

from __future__ import annotations

from ..registry import register
from .elic import Config, Elic

__all__ = ["Tiny"]


def _config(**changes: object) -> Config:
    small: dict[str, object] = {
        "widths": (12, 12, 16),
        "M": 16,
        "Z": 4,
        "groups": (4, 12),
        "kernels": (3, 3, 3, 3),
        "blocks": 1,
        "hyper": 8,
        "features": 12,
        "context": 8,
        "spatial": (3, 8),
        "hidden": (12, 12),
    }
    return Config(**{**small, **changes})  # type: ignore[arg-type]


@register("tiny", id=0)
class Tiny(Elic):
    """The same class at toy widths."""

    paper = "ELIC at toy widths"
    Config = staticmethod(_config)  # type: ignore[assignment]
