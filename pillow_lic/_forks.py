"""Whether this process was forked from one that had torch, whose threads it does not have.

`lic_models` looks out for forks itself, but only where it is imported already.
"""

from __future__ import annotations

import os
import sys

__all__ = ["tell"]

_forked = False


def _note() -> None:
    global _forked
    _forked = _forked or "torch" in sys.modules


def tell() -> None:
    """Let `lic_models` know, before it computes anything."""
    if _forked:
        from lic_models.device import forked

        forked()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note)
