"""Names of what weights are trained for and encoders serve; needs no torch."""

from __future__ import annotations

__all__ = ["PLAIN", "STRUCTURE", "known"]

PLAIN, STRUCTURE = "psnr", "ms-ssim"


def known(tune: object) -> str:
    """Return the name of a tune; raises ValueError unless it is one."""
    if not isinstance(tune, str) or tune not in (PLAIN, STRUCTURE):
        raise ValueError(f"tune: found {tune!r}, allowed are {PLAIN!r} and {STRUCTURE!r}")
    return tune
