"""How a process of the `lic` command takes signals and words warnings."""

from __future__ import annotations

import signal
import sys
import warnings

__all__ = ["prepare"]


def prepare() -> None:
    """Let what is half written go when the process is ended, and warnings be one line each."""
    # As Ctrl-C does; who ignores one of these stays.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda which, _: sys.exit(128 + which))
    warnings.formatwarning = lambda message, *_, **__: f"lic: {message}\n"
