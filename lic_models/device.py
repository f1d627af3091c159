"""Where a codec runs, and what a forked process must do without.

Neither OpenMP's threads nor CUDA's state outlive a fork: the child would wait for threads that are
gone. A child of a process that had this module computes on one thread therefore, and takes the CPU
unless told otherwise, as the workers of a data loader should.
"""

from __future__ import annotations

import os
from functools import cache

import torch

__all__ = ["choose", "forked", "roughly"]

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True
    torch.set_num_threads(1)


def forked() -> None:
    """Say that this process has come of one that had torch; only the first time counts.

    For those who knew of the fork before this module was there.
    """
    if not _forked:
        _after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def choose(name: str) -> torch.device:
    """Return the device of that name; "auto" is the current CUDA device if there is one.

    Raises ValueError if it is not at hand.
    """
    if name == "auto" and not (torch.cuda.is_available() and not _forked):
        return torch.device("cpu")
    try:
        device = torch.device("cuda" if name == "auto" else name)
        torch.zeros(1, device=device, dtype=torch.float64).item()  # which integers may need
    except (RuntimeError, AssertionError, TypeError) as error:  # torch without CUDA asserts
        raise ValueError(f"device: found {name!r}, allowed is auto, cpu or one at hand") from error
    if device.type == "cuda" and device.index is None:  # another may be current when it is used
        return torch.device("cuda", torch.cuda.current_device())
    return device


@cache
def _short() -> bool:
    """Whether this CPU multiplies bfloat16, as far as torch can tell: 2.6 cannot, 2.13 can."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    return tell is not None and bool(tell().get("avx512_bf16", False))


def roughly(device: torch.device) -> torch.autocast:
    """Convolve in bfloat16 where a CPU takes half the time for it, else as ever.

    For what an encoder asks itself only: three digits, and not the same ones everywhere.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=device.type == "cpu" and _short())
