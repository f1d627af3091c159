"""`lic models`: what this installation can encode and decode with."""

from __future__ import annotations

from typing import Any

import typer

__all__ = ["command", "rows"]


def _weights(name: str) -> tuple[str, str]:
    """Return fingerprint and number of parameters of the newest weights, as text."""
    import lic_models

    try:
        codec: Any = lic_models.load(name, device="cpu")
    except lic_models.errors.WeightsNotFound:
        return "no weights installed", ""
    except lic_models.errors.WeightsError as error:
        return str(error), ""
    network = getattr(codec, "model", None)
    count = sum(p.numel() for p in network.parameters()) if network is not None else None
    return codec.fingerprint.hex(), "" if count is None else f"{count:,}"


def rows() -> list[tuple[str, str, str, str]]:
    """Return name, id, fingerprint and parameters of each registered model."""
    import lic_models

    return [(n, str(lic_models.model_id(n)), *_weights(n)) for n in lic_models.names()]


def command() -> None:
    """List the models, their ids, weights and sizes."""
    from rich.console import Console
    from rich.table import Table

    try:
        found = rows()
    except ImportError as error:
        typer.echo(f"lic: models need a package that is missing: {error}", err=True)
        raise typer.Exit(1) from error
    table = Table("model")
    table.add_column("id", justify="right")
    table.add_column("weights")
    table.add_column("parameters", justify="right")
    for row in found:
        table.add_row(*row)
    Console(highlight=False).print(table)
