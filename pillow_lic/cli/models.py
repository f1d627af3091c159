"""`lic models`: what this installation can encode and decode with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import coders
from .failures import Failures, missing_extra

if TYPE_CHECKING:
    from lic_models.weights import Found

__all__ = ["command", "report"]


def _installed(name: str) -> list[Found]:
    """Return all weights of a model that can be found, newest generation first."""
    from lic_models import weights

    # by fingerprint, the one that `load` would take
    found = {weights.find(name, each.fingerprint) for each in weights.installed(name)}
    return sorted(found, key=lambda each: (-each.generation, each.fingerprint))


def _row(found: Found) -> dict[str, Any]:
    """Return what there is to know of one weights file; it is loaded, which checks it."""
    from safetensors import safe_open

    import lic_models
    from lic_models.cost import cost
    from lic_models.errors import WeightsError

    row: dict[str, Any] = {
        "fingerprint": found.fingerprint.hex(),
        "generation": found.generation,
        "tune": found.tune,
        "parameters": None,
        "kmac_per_pixel": None,
        "bytes": found.path.stat().st_size,
        "path": str(found.path),
        "notes": {},
        "problem": None,
    }
    try:
        codec = lic_models.load(found.model, "cpu", found.fingerprint)
        row["parameters"] = sum(p.numel() for p in codec.model.parameters())
        row["kmac_per_pixel"] = {k: round(v, 2) for k, v in cost(codec.model)._asdict().items()}
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
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    # All of it in 80 columns, which a pipe has, too, where the weights are the package's.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column("model", no_wrap=True)
    table.add_column("id", justify="right")
    table.add_column("weights", no_wrap=True)
    for title in ("gen.", "parameters", "kMAC/px", "bytes"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("from", overflow="fold")
    for model in models:
        number = str(model["id"])
        if not model["weights"]:
            table.add_row(model["name"], number, "none installed")
        for row in model["weights"]:
            count, work = "damaged", ""
            if not row["problem"]:
                count = f"{row['parameters']:,}"
                work = " + ".join(f"{v:.1f}" for v in row["kmac_per_pixel"].values())
            numbers = str(row["generation"]), count, work, f"{row['bytes']:,}"
            place = Text(_place(row["path"]))
            name = coders.ours(model["name"], (), "cpu", tune=row["tune"]).name
            table.add_row(name, number, row["fingerprint"], *numbers, place)
    console.print(table)
    console.print("kMAC/px: thousands of multiply-accumulates per pixel, encoding + decoding")
    for model in models:
        console.print(f"{model['name']}: {model['paper']}", markup=False)


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models and their weights: ids, fingerprints, sizes, papers, places."""
    failures = Failures()
    with failures.caught(), missing_extra():
        found = report()
        if as_json:
            typer.echo(json.dumps(found, indent=2))
        else:
            _show(found)
        for row in (row for model in found for row in model["weights"] if row["problem"]):
            failures.add(row["problem"])
    failures.exit()
