"""What the package says that it needs."""

from __future__ import annotations

import re

from specification import ROOT, toml


def _release(text: str) -> list[int]:
    """Numbers of a version, without zeros at the end."""
    numbers = [int(part) for part in text.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def test_lowest_versions_can_be_tried() -> None:
    """`.ci/lowest.txt` pins what the dependencies allow at least."""
    project = toml(ROOT / "pyproject.toml")["project"]
    pins = (ROOT / ".ci" / "lowest.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", pins, re.MULTILINE))
    assert len(project["dependencies"]) > 5
    for needed in project["dependencies"]:
        name, lowest = re.match(r"([\w-]+)>=([\d.]+)", needed).groups()  # type: ignore[union-attr]
        assert _release(pinned[name]) == _release(lowest), name
