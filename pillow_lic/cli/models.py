"""`lic models`: what this installation can encode and decode with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import files

if TYPE_CHECKING:
    from lic_models.weights import Found

__all__ = ["command", "report"]


def _installed(name: str) -> list[Found]:
    """Return all weights of a model that can be found, newest generation first."""
    from lic_models import errors, weights

    found = set()
    for folder in weights.folders():
        for path in folder.glob(f"{name}-*.safetensors"):
            try:
                digest = bytes.fromhex(path.stem.rpartition("-")[2])
                found.add(weights.find(name, digest))  # the one that `load` would take
            except (ValueError, errors.WeightsNotFound):
                continue  # named otherwise than weights are, which nobody finds
    return sorted(found, key=lambda each: (-each.generation, each.fingerprint))


def _row(found: Found) -> dict[str, Any]:
    """Return what there is to know of one weights file; it is loaded, which checks it."""
    from safetensors import safe_open

    import lic_models
    from lic_models.errors import WeightsError

    row: dict[str, Any] = {
        "fingerprint": found.fingerprint.hex(),
        "generation": found.generation,
        "parameters": None,
        "bytes": found.path.stat().st_size,
        "path": str(found.path),
        "notes": {},
        "problem": None,
    }
    try:
        codec = lic_models.load(found.model, "cpu", found.fingerprint)
        row["parameters"] = sum(p.numel() for p in codec.model.parameters())
        with safe_open(found.path, framework="numpy") as file:
            row["notes"] = {k: v for k, v in sorted(file.metadata().items()) if k != "config"}
    except WeightsError as error:
        row["problem"] = str(error)
    return row


def report() -> list[dict[str, Any]]:
    """Return every registered model with its weights, none perhaps."""
    import lic_models
    from lic_models import registry

    return [
        {
            "name": name,
            "id": lic_models.model_id(name),
            "paper": registry.lookup(name).paper,
            "weights": [_row(found) for found in _installed(name)],
        }
        for name in lic_models.names()
    ]


def _place(path: str) -> str:
    import lic_models

    inside = Path(lic_models.__file__).parent in Path(path).parents
    return "package" if inside else str(Path(path).parent)


def _show(models: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table("model")
    table.add_column("id", justify="right")
    table.add_column("weights", no_wrap=True)
    for title in ("gen.", "parameters", "bytes"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("from", overflow="fold")
    for model in models:
        start = model["name"], str(model["id"])
        if not model["weights"]:
            table.add_row(*start, "none installed")
        for row in model["weights"]:
            count = "damaged" if row["problem"] else f"{row['parameters']:,}"
            numbers = str(row["generation"]), count, f"{row['bytes']:,}"
            table.add_row(*start, row["fingerprint"], *numbers, Text(_place(row["path"])))
    console.print(table)
    for model in models:
        console.print(f"{model['name']}: {model['paper']}", markup=False)


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models and their weights: ids, fingerprints, sizes, papers, places."""
    failures = files.Failures()
    try:
        found = report()
    except ImportError as error:
        typer.echo(f"lic: models need a package that is missing: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show(found)
    for row in (row for model in found for row in model["weights"] if row["problem"]):
        failures.add(row["problem"])
    failures.exit()
