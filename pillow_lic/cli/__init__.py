"""The `lic` command: one file per subcommand, registered here.

Nothing in this package imports torch, NumPy or matplotlib before a command needs them.
"""

from __future__ import annotations

import signal
import sys

import typer

from . import (
    autoload,
    bench,
    decode,
    demo,
    desktop,
    encode,
    grey,
    info,
    models,
    seams,
    strip,
    texture,
    thumbnail,
    transcode,
    verify,
)

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Learned image compression in .lic files.",
)
commands = (
    encode, decode, transcode, strip, thumbnail,
    info, verify, models, demo, bench, texture, grey, seams,
    autoload, desktop,
)  # fmt: skip
for module in commands:
    app.command(module.__name__.rpartition(".")[2])(module.command)


def main() -> None:
    """Entry point of the `lic` script."""
    # As Ctrl-C does, so that what is half written goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    app()
