"""ELIC at toy widths: for tests and test vectors, not for pictures."""

from __future__ import annotations

from typing import Any, ClassVar

from ..registry import register
from .elic import Elic

__all__ = ["Tiny"]


@register("tiny", id=0)
class Tiny(Elic):
    """The same class at toy widths."""

    paper = "ELIC at toy widths"
    configs: ClassVar[dict[str, Any]] = {**Elic.configs, "shipped": Elic.configs["toy"]}
