"""A few kilobytes of ELIC: for tests, test vectors and the tutorial. Not for pictures."""

from __future__ import annotations

from typing import Any

from ..registry import register
from .elic import Config, Elic

__all__ = ["Tiny"]

WIDTHS: dict[str, Any] = {
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


@register("tiny", id=0)
class Tiny(Elic):
    """The same class at toy widths."""

    paper = "ELIC at toy widths"

    @classmethod
    def configure(cls, **values: Any) -> Config:
        return Config(**{**WIDTHS, **values})
