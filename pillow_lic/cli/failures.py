"""What goes wrong with one file, in one line, while a command goes on with the others."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from PIL import Image

from . import lines

__all__ = ["DAMAGE", "Failures", "expected", "missing_extra"]

# What Pillow's plugins let through, each in its own way, for damaged pictures.
DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    struct.error,
    zlib.error,
)


class Failures:
    """Counts what went wrong, so that one bad file does not keep a command from the others."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def caught(self, about: object = "") -> Iterator[None]:
        """Report an expected error on stderr and go on; anything else is a bug and escapes."""
        from lic_models.errors import WeightsNotFound

        try:
            yield
        except BrokenPipeError:  # of stdout: no fault of what it is about
            raise
        except (
            OSError,
            ValueError,
            MemoryError,
            WeightsNotFound,
            Image.DecompressionBombError,
        ) as e:
            text = str(e) or type(e).__name__
            known = text.startswith(f"{about}: ") or repr(str(about)) in text
            self.add(text if known or not about else f"{about}: {text}")

    def add(self, text: object) -> None:
        """Report a failure, by a text or as an error words it."""
        self.count += 1
        lines.say(f"lic: {text}", err=True)

    def exit(self) -> None:
        """End the command with status 1 if anything failed."""
        if self.count:
            raise typer.Exit(1)


@contextmanager
def expected(path: Path, done: str) -> Iterator[None]:
    """Turn what plugins of other formats raise for damage, in metadata as well, into OSError."""
    try:
        yield
    except DAMAGE as error:
        raise OSError(f"{path}: cannot be {done}: {error}") from error


@contextmanager
def missing_extra() -> Iterator[None]:
    """Turn the lack of a package into an expected failure."""
    try:
        yield
    except ImportError as error:
        raise OSError(str(error)) from error
