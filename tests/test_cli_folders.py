"""Folders in place of files, with what is below them or without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import TINY, names, run
from samples import lic, picture


def test_folders_stand_for_the_files_in_them(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "below.png").mkdir(parents=True)
    for name in ("b.png", "a.JPG", ".hidden.png", "below.png/c.png"):
        picture().save(photos / name)
    (photos / "notes.txt").write_text("no picture")
    run("encode", photos, *TINY, "-o", tmp_path / "coded")
    assert names(tmp_path / "coded") == {"a.lic", "b.lic"}
    run("verify", tmp_path / "coded")
    run("decode", tmp_path / "coded", "-o", tmp_path / "decoded")
    assert names(tmp_path / "decoded") == {"a.png", "b.png"}
    found = run("decode", photos, "-o", tmp_path / "nothing", code=1)
    assert "photos: found none of the files" in found.output
    assert not (tmp_path / "nothing").exists()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Pictures and files at three depths, and some of either that are hidden."""
    for name in ("a", "one/a", "one/two/b", ".hid/c", "one/.c"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(size=(9, 9)).save(path.with_name(f"{path.name}.png"))
        path.with_name(f"{path.name}.lic").write_bytes(lic(picture(size=(9, 9))))
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("words", "suffix"),
    [
        (("encode", *TINY), ".lic"),
        (("decode",), ".png"),
        (("transcode",), ".lic"),
        (("strip",), ".lic"),
    ],
)
def test_results_stand_as_their_sources_do(
    words: tuple[str, ...], suffix: str, tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(*words, tree, "-r", "-o", out)
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {f"{name}{suffix}" for name in ("a", "one/a", "one/two/b")}


def test_reports_of_folders_below(tree: Path) -> None:
    (tree / "one" / "two" / "b.lic").write_bytes(b"damaged")
    found = run("verify", "-r", tree, code=1)
    assert found.stdout.count(": ok") == 2
    assert "b.lic" in found.stderr
    (tree / "one" / "two" / "b.lic").unlink()
    assert run("info", "-r", tree).stdout.count("weights") == 2
    assert run("info", tree).stdout.count("weights") == 1


def test_a_folder_that_cannot_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can read any, so the system is made to refuse; the others are none the worse."""
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "two":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = run("verify", "-r", tree, code=1)
    assert found.stdout.count(": ok") == 2
    assert found.stderr.count("lic: ") == 1
    assert str(tree / "one" / "two") in found.stderr
