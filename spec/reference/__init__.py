"""A decoder of `.lic` files written from the text of this specification alone.

It exists to show that the text is complete: it shares no code with the packages that write the
files, and needs only the standard library and NumPy. It is slow, and reads whole files.
"""

from __future__ import annotations

from .container import Container, parse
from .decoder import Decoded, decode

__all__ = ["Container", "Decoded", "decode", "parse"]
