"""`lic seams` on small pictures and the smallest model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import TINY, run
from samples import picture

from pillow_lic.cli.seams import _compare


@pytest.mark.parametrize("axis", [0, 1])
def test_a_seam_is_found_where_it_is(axis: int) -> None:
    whole = np.zeros((192, 192, 3), np.uint8)
    tiled = whole.swapaxes(0, axis).copy()
    tiled[64:] = 5
    assert _compare(tiled.swapaxes(0, axis), whole, 64) == (5 / 4, 5, 0, 0)
    tiled[64:] = 0
    tiled[96:] = 7
    assert _compare(tiled.swapaxes(0, axis), whole, 64) == (0, 0, 7 / 6, 7)


def test_what_is_in_both_is_no_seam() -> None:
    pixels = np.asarray(picture("RGB", (192, 192)))
    assert _compare(pixels, pixels, 64) == (0, 0, 0, 0)


def test_command(tmp_path: Path) -> None:
    picture("RGB", (200, 176)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    found = run("seams", tmp_path, *TINY, "--quality", "30,80", "--tile", 128, "--out", out)
    assert "tiles of 128" in found.output
    rows = json.loads((out / "seams.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["image"], row["quality"]) for row in rows] == [("a.png", 30), ("a.png", 80)]
    for row in rows:
        assert 0 < row["border"] <= row["border_largest"] < 256
        assert 0 <= row["middle"] <= row["middle_largest"] < 256


def test_bad_options(tmp_path: Path) -> None:
    picture("RGB", (200, 176)).save(tmp_path / "a.png")
    out = ("--out", tmp_path / "out")
    assert "--tile" in run("seams", tmp_path, *TINY, "--tile", 100, *out, code=2).output
    assert "--quality" in run("seams", tmp_path, *TINY, "--quality", "x", *out, code=2).output
    assert "tile of 192" in run("seams", tmp_path, *TINY, "--tile", 192, *out, code=1).output
