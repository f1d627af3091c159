"""Runs the `lic` command for the tests."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from pillow_lic.cli import app

__all__ = ["TINY", "names", "run"]

TINY = ("--model", "tiny")


def run(*words: object, code: int = 0) -> Result:
    """Run a command and return its result, whose status must be as said."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
