"""The `lic` command: one file per subcommand, registered here.

Nothing in this package imports torch, NumPy or matplotlib before a command needs them.
"""

from __future__ import annotations

import typer

from . import bench, decode, demo, encode, info, models, verify

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Learned image compression in .lic files."
)
app.command("encode")(encode.command)
app.command("decode")(decode.command)
app.command("info")(info.command)
app.command("verify")(verify.command)
app.command("bench")(bench.command)
app.command("demo")(demo.command)
app.command("models")(models.command)


def main() -> None:
    """Entry point of the `lic` script."""
    app()
