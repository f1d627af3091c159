"""The files of `spec/` for the tests: numbers, vectors, and the second decoder."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "BAD",
    "EVERY",
    "GOOD",
    "NUMBERS",
    "ROOT",
    "SPEC",
    "VECTORS",
    "WEIGHTS",
    "by_file",
    "second",
    "toml",
]

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "spec"
VECTORS = SPEC / "vectors"
WEIGHTS = ROOT / "lic_models" / "weights"


def toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def second(name: str = "") -> Any:
    """Return the package of the decoder that was written from the text, or a module of it."""
    if str(SPEC) not in sys.path:
        sys.path.insert(0, str(SPEC))
    return importlib.import_module(f"reference.{name}" if name else "reference")


NUMBERS = toml(SPEC / "constants.toml")
EVERY: list[dict[str, Any]] = toml(VECTORS / "vectors.toml")["vector"]
GOOD = [vector for vector in EVERY if vector["expect"] == "ok"]
BAD = [vector for vector in EVERY if vector["expect"] != "ok"]


def by_file(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    """A test of each vector, named by its file."""
    return pytest.mark.parametrize("vector", vectors, ids=[vector["file"] for vector in vectors])
