"""Options that are several values between commas; ValueError or BadParameter names a bad one."""

from __future__ import annotations

import math

from .. import _options
from .options import as_quality

__all__ = ["efforts", "qualities", "rates", "tunes", "words"]


def words(text: str) -> list[str]:
    """Return the words of a list, each once, in order."""
    return list(dict.fromkeys(word.strip() for word in text.split(",")))


def efforts(text: str) -> list[int]:
    """Return efforts in order."""
    given = (int(word) if word.isdecimal() else word for word in words(text))
    found = {_options.effort({"effort": value}) for value in given}
    return sorted(effort for effort in found if effort is not None)


def tunes(text: str) -> list[str]:
    """Return what encoders serve."""
    return [_options.tune({"tune": word}) for word in words(text)]


def rates(text: str) -> list[float]:
    """Return positive numbers in order."""
    try:
        values = sorted({float(word) for word in words(text)})
    except ValueError as error:
        raise ValueError(f"found {text!r}, allowed are numbers between commas") from error
    for value in values:
        if not 0 < value < math.inf:
            raise ValueError(f"found {value:g}, allowed is a number above 0")
    return values


def qualities(text: str) -> list[float]:
    """Return qualities in order."""
    return sorted({as_quality(word) for word in words(text)})
