"""Options that several commands share, checked before any work starts."""

from __future__ import annotations

from typing import Annotated

import typer

import lic_models

__all__ = ["Device", "Model", "Overwrite", "Quality", "quality_list"]


def _quality(value: float | None) -> float | None:
    if value is not None:
        try:
            lic_models.level_from_quality(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return value


def quality_list(text: str, lowest: float = 1) -> list[float]:
    """Return the numbers of a comma-separated list, in order; BadParameter names a bad one."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"found {text!r}, allowed are numbers between commas") from error
    for value in values:
        if not lowest <= value <= 100:  # NaN fails too
            raise typer.BadParameter(f"found {value:g}, allowed is {lowest:g} to 100")
    return sorted(set(values))


Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model that encodes; `lic models` lists them.")
]
Quality = Annotated[
    float | None,
    typer.Option(
        "--quality", "-q", callback=_quality, help="1 (smallest file) to 100 (best picture)."
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="Where networks run: auto, cpu, cuda, cuda:1, ...")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
