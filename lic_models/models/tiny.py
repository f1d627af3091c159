"""A few kilobytes of ELIC: for tests, test vectors and the tutorial. Not for pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..registry import register
from .elic import Config, Elic

__all__ = ["Tiny"]


@register("tiny", id=0)
class Tiny(Elic):
    """The same class at toy widths."""

    paper = "ELIC at toy widths"

    @classmethod
    def configure(cls, **values: Any) -> Config:
        toy: Config = cls.configs["toy"]
        return replace(toy, **values)
