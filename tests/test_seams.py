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
    for line, height, expected in ((64, 5, "border"), (144, 7, "beside"), (96, 9, "middle")):
        tiled = whole.copy()
        tiled[line:] = height
        found = _compare(tiled.swapaxes(0, axis), whole, 64)
        assert found[f"{expected}_largest"] == height
        others = {"border", "beside", "middle"} - {expected}
        assert all(found[name] == found[f"{name}_largest"] == 0 for name in others)
        assert found[expected] > 0


def test_what_is_in_both_is_no_seam() -> None:
    pixels = np.asarray(picture("RGB", (192, 192)))
    assert set(_compare(pixels, pixels, 64).values()) == {0}


def test_command(tmp_path: Path) -> None:
    picture("RGB", (200, 176)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    found = run("seams", tmp_path, *TINY, "--quality", "30,80", "--tile", 128, "--out", out)
    assert "tiles of 128" in found.output
    rows = json.loads((out / "seams.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["image"], row["quality"]) for row in rows] == [("a.png", 30), ("a.png", 80)]
    for row in rows:
        assert 0 < row["border"] <= row["border_largest"] < 256
        assert 0 <= row["beside"] <= row["beside_largest"] < 256
        assert 0 <= row["middle"] <= row["middle_largest"] < 256


def test_bad_options(tmp_path: Path) -> None:
    picture("RGB", (200, 176)).save(tmp_path / "a.png")
    out = ("--out", tmp_path / "out")
    assert "--tile" in run("seams", tmp_path, *TINY, "--tile", 100, *out, code=2).output
    assert "--quality" in run("seams", tmp_path, *TINY, "--quality", "x", *out, code=2).output


def test_what_an_earlier_run_found_stays(tmp_path: Path) -> None:
    picture("RGB", (200, 176)).save(tmp_path / "a.png")
    earlier = tmp_path / "seams.json"
    earlier.write_text("mine")
    found = run("seams", tmp_path, *TINY, "--tile", 192, "--out", tmp_path, code=1).output
    assert "tile of 192" in found
    assert "seams.json" not in found
    assert earlier.read_text() == "mine"
