"""The `lic` command: one file per subcommand, registered here.

Nothing in this package imports torch, NumPy or matplotlib before a command needs them.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from .. import __version__
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
    process,
    seams,
    strip,
    texture,
    thumbnail,
    transcode,
    verify,
)

__all__ = ["app", "main"]

_SIGPIPE = 13  # what ends others whose reader has gone; Windows has no name for it

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
commands = (
    encode, decode, transcode, strip, thumbnail,
    info, verify, models, demo, bench, texture, grey, seams,
    autoload, desktop,
)  # fmt: skip
for module in commands:
    app.command(module.__name__.rpartition(".")[2])(module.command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pillow-lic {__version__}")
        raise typer.Exit


@app.callback()
def _lic(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Learned image compression in .lic files."""


def main() -> None:
    """Entry point of the `lic` script."""
    process.prepare()
    # A name that a terminal or a file cannot hold is no failure of the work.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        # Typer and rich make status 1 of it, which would say that the work failed.
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(128 + _SIGPIPE)
        raise
    except OSError as error:  # what files do is told with their names: this is where output goes
        with open(os.devnull, "wb") as nowhere:  # what is left to print must not fail again
            os.dup2(nowhere.fileno(), 1)
        sys.exit(f"lic: {error}")
