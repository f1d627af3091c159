"""Thumbnails, and what a desktop is told."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from commands import TINY, names, run
from PIL import Image
from samples import EXIF, distance, lic, picture

from pillow_lic.header import SIGNATURE


def test_thumbnail(tmp_path: Path):
    source = tmp_path / "a.lic"
    source.write_bytes(lic(picture("RGB", (300, 200)), exif=EXIF))
    run("thumbnail", source, tmp_path / "a.png", "--size", 60)
    with Image.open(tmp_path / "a.png") as small:
        assert (small.format, small.size) == ("PNG", (40, 60))  # EXIF says: turn
    run("thumbnail", source, tmp_path / "a.png", code=1)
    run("thumbnail", source, tmp_path / "odd name.out", "--size", 20)
    assert names(tmp_path) == {"a.lic", "a.png", "odd name.out"}
    source.write_bytes(lic(picture("RGB", (300, 200)), exif=b"not a TIFF"))
    run("thumbnail", source, tmp_path / "a.png", "--overwrite")


@pytest.mark.parametrize("size", [60, 256])
def test_thumbnail_of_16_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int):
    monkeypatch.setattr("pillow_lic._codec.decode", None)  # the preview is enough
    wide = np.linspace(20000, 65535, 600 * 900).reshape(600, 900).astype(np.uint16)
    (tmp_path / "a.lic").write_bytes(lic(Image.fromarray(wide), preview=256))
    run("thumbnail", tmp_path / "a.lic", tmp_path / "a.png", "--size", size)
    with Image.open(tmp_path / "a.png") as small:
        assert small.size == (size, round(size / 1.5))
        assert abs(np.asarray(small).astype(float).mean() - wide.mean()) < 600


def test_a_thumbnail_from_a_preview_loads_no_torch(tmp_path: Path):
    (tmp_path / "a.lic").write_bytes(lic(picture("RGB", (300, 200)), preview=128))
    code = (
        "import sys; from pillow_lic.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    words = "thumbnail", tmp_path / "a.lic", tmp_path / "a.png", "--size", "128"
    subprocess.run([sys.executable, "-c", code, *words], check=True)
    assert (tmp_path / "a.png").exists()


def test_desktop_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = Path.write_text

    def full(self: Path, text: str, **options: str) -> int:
        if self.suffix == ".thumbnailer":
            raise OSError("no space left")
        return plain(self, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    assert "no space" in run("desktop", "on", "--folder", tmp_path, code=1).stderr
    assert not [path for path in tmp_path.rglob("pillow-lic*") if path.is_file()]


def test_desktop(tmp_path: Path):
    assert run("desktop", "status", "--folder", tmp_path).output.startswith("off")
    assert run("desktop", "on", "--folder", tmp_path).output.startswith("on")
    root = ElementTree.parse(tmp_path / "mime/packages/pillow-lic.xml").getroot()
    space = root.tag.partition("}")[0] + "}"
    kind = root.find(f"{space}mime-type")
    assert kind is not None
    assert kind.get("type") == Image.MIME["LIC"]
    match = kind.find(f"{space}magic/{space}match")
    assert match is not None
    assert match.get("value", "").encode().decode("unicode_escape").encode("latin1") == SIGNATURE
    assert run("desktop", "off", "--folder", tmp_path).output.startswith("off")
    assert not [p for p in tmp_path.rglob("pillow-lic*") if p.is_file()]


def test_the_thumbnailer_works(tmp_path: Path):
    """The line that a file manager would run."""
    run("desktop", "on", "--folder", tmp_path)
    text = (tmp_path / "thumbnailers/pillow-lic.thumbnailer").read_text()
    [line] = [s.removeprefix("Exec=") for s in text.splitlines() if s.startswith("Exec=")]
    picture("RGB", (300, 200)).save(tmp_path / "a.png")
    run("encode", tmp_path / "a.png", *TINY, "--preview", 128)
    values = {"%s": "64", "%i": str(tmp_path / "a.lic"), "%o": str(tmp_path / "thumb.png")}
    assert f"\nTryExec={sys.executable}\n" in text
    words = [word.replace("%%", "%") for word in shlex.split(line)]
    subprocess.run([values.get(word, word) for word in words], check=True)
    with Image.open(tmp_path / "thumb.png") as small, Image.open(tmp_path / "a.png") as whole:
        assert small.size == (64, 43)
        assert distance(small, whole.resize(small.size)) < 5
