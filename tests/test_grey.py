"""`lic grey` on small pictures and the smallest model."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from commands import run
from samples import picture

grey = partial(run, "grey", code=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    picture("RGB", (176, 200)).save(found / "colour.png")
    picture("L", (208, 168)).save(found / "grey.png")
    return found


def test_command(folder: Path, tmp_path: Path) -> None:
    found = grey(folder, "--model", "tiny", "--quality", "30,80", "--out", tmp_path)
    assert found.exit_code == 0, found.output
    assert "against luma" in found.output
    written = json.loads((tmp_path / "grey.json").read_text(encoding="utf-8"))
    assert set(written["bd_rate"]) == {"colour", "luma"}
    rows = written["rows"]
    assert [row["image"] for row in rows] == ["colour.png"] * 2 + ["grey.png"] * 2
    for row in rows:
        assert row["luma"] == row["colour"] - row["chroma"] + row["flat"]
    for row in rows[:2]:
        assert row["chroma"] > row["flat"]
        assert row["grey"] < row["colour"]
    for row in rows[2:]:  # no chroma: nothing but luma in either file
        assert row["chroma"] == row["flat"]
        assert row["grey"] == row["colour"] == row["luma"]
        assert row["grey_psnr"] >= row["colour_psnr"]  # one rounding instead of three


def test_bad_options(folder: Path, tmp_path: Path) -> None:
    for arguments, hint in (
        (("--quality", "50"), "--quality"),
        (("--quality", "0,50"), "--quality"),
        (("--model", "gif"), "--model"),
    ):
        found = grey(folder, *arguments, "--out", tmp_path)
        assert found.exit_code == 2, found.output
        assert hint in found.output
