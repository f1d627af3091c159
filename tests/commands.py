"""Runs the `lic` command, and those of modules, for the tests."""

from __future__ import annotations

from pathlib import Path

from typer import Typer
from typer.testing import CliRunner, Result

from pillow_lic.cli import app

__all__ = ["TINY", "names", "run"]

TINY = ("--model", "tiny")


def run(*words: object, code: int | None = 0, of: Typer = app) -> Result:
    """Run a command and return its result, whose status must be as said, or may be any."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(of, [str(word) for word in words])
    assert code in (None, result.exit_code), (result.output, result.exception)
    return result


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
