"""`lic info`, `verify`, `models`, `demo` and help: what they show, and what it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from commands import TINY, names, run
from PIL import Image, features
from samples import HEADER, join, lic, picture, split

import pillow_lic
from pillow_lic import container
from pillow_lic.cli import app, demo, measure


def test_help_loses_nothing() -> None:
    """Rich takes square brackets for markup."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        shown = run(name, "--help").output.replace("\u2502", " ").split()
        for text in (command.help, *(param.help for param in command.params)):
            words = str(text).split()
            places = range(len(shown))
            assert any(shown[at : at + len(words)] == words for at in places), (name, text)


def test_version() -> None:
    assert run("--version").output == f"pillow-lic {pillow_lic.__version__}\n"


def information(path: Path, code: int = 0) -> dict[str, Any]:
    (found,) = json.loads(run("info", path, "--json", code=code).stdout)
    assert isinstance(found, dict)
    return found


def test_info_adds_up(coded: Path) -> None:
    found = information(coded)
    header, parts = split(coded.read_bytes())
    assert (found["width"], found["height"], found["mode"]) == (40, 24, "RGBA")
    assert (found["model"], found["model_id"], found["quality"]) == ("tiny", 0, 62.5)
    assert found["fingerprint"] == header[12:20].hex()
    assert found["problem"] is None
    assert sum(row["bytes"] for row in found["parts"]) == found["bytes"] == coded.stat().st_size
    assert found["overhead_bytes"] == found["bytes"] - sum(len(data) for _, data in parts)
    listed = ["header", "icc_profile", "exif", "xmp", "alpha", "tiles"]
    assert [row["part"] for row in found["parts"]] == listed


def test_info_counts_tiles_and_unknown_parts(tmp_path: Path) -> None:
    header, parts = split(lic(picture(size=(130, 70)), tile=64))
    path = tmp_path / "tiles.lic"
    path.write_bytes(join(header, [("z", b"later"), *parts]))
    found = information(path)
    assert (found["tiles"], found["tile"]) == (6, 64)
    assert [row["count"] for row in found["parts"]] == [1, 6, None]
    assert found["parts"][-1]["part"] == "unknown parts"
    assert found["parts"][-1]["bytes"] == len(b"later") + 6


def test_info_for_people(coded: Path) -> None:
    text = run("info", coded).stdout
    for piece in ("40 x 24 RGBA", "tiny (id 0)", "62.5", "icc_profile", "share"):
        assert piece in text


def test_info_of_a_damaged_file_shows_its_header(coded: Path) -> None:
    coded.write_bytes(coded.read_bytes()[:-1])
    found = information(coded, code=1)
    assert "truncated" in found["problem"]
    assert sum(row["bytes"] for row in found["parts"]) == found["bytes"]


def test_info_refuses_other_formats(png: Path) -> None:
    result = run("info", png, code=1)
    assert "signature" in result.stderr
    assert str(png) in result.stderr


def test_info_of_several(coded: Path, png: Path, tmp_path: Path) -> None:
    """One that cannot be read does not hide the others."""
    other = tmp_path / "other.lic"
    other.write_bytes(coded.read_bytes())
    result = run("info", png, coded, other, "--json", code=1)
    assert [row["file"] for row in json.loads(result.stdout)] == [str(coded), str(other)]
    assert run("info", coded, other).stdout.count("40 x 24 RGBA") == 2


def test_verify(coded: Path, tmp_path: Path, png: Path) -> None:
    assert "ok" in run("verify", coded).stdout
    data = bytearray(coded.read_bytes())
    data[-6] ^= 1
    bad = tmp_path / "bad.lic"
    bad.write_bytes(data)
    result = run("verify", bad, png, tmp_path / "gone.lic", coded, "--quiet", code=1)
    assert len(result.stderr.splitlines()) == 3
    assert "checksum" in result.stderr
    assert not result.stdout


def test_errors_name_files_whatever_they_are_called(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name may be a word of the error."""
    monkeypatch.chdir(tmp_path)
    data = coded.read_bytes()
    for name in ("T", "file"):
        Path(name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    lines = run("verify", "T", "file", "gone", code=1).stderr.splitlines()
    assert [line.split(": ")[:2] for line in lines[:2]] == [["lic", "T"], ["lic", "file"]]
    assert lines[2].count("gone") == 1


def test_verify_needs_no_memory_for_pixels(tmp_path: Path) -> None:
    """Pillow would call this size an attack; its checksums can be looked at all the same."""
    header = HEADER._replace(width=16000, height=16000, tile=4096)
    path = tmp_path / "huge.lic"
    path.write_bytes(container.write(header, {}, None, [b"tile"] * 16))
    run("verify", path)


def test_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # as wide as a pipe is
    lines = run("models").stdout.splitlines()
    found = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    for name, row in found.items():
        for each in row["weights"]:
            (line,) = (line for line in lines if each["fingerprint"] in line)
            assert line.split()[0] == name
            assert ("ms-ssim" in line) == (each["tune"] == "ms-ssim")
            assert f"{each['bytes']:,} package" in line
    tiny = found["tiny"]
    assert (tiny["id"], found["elic"]["id"]) == (0, 8)
    assert "ELIC" in tiny["paper"]
    (weights,) = tiny["weights"]
    assert weights["fingerprint"] == split(lic())[0][12:20].hex()
    assert weights["bytes"] == Path(weights["path"]).stat().st_size
    assert weights["parameters"] > 10_000
    assert weights["problem"] is None


def test_models_from_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are damaged are listed as such; other files are no weights."""
    from lic_models import weights

    shipped = weights.find("tiny").generation
    bad = tmp_path / "tiny-7-0123456789abcdef.safetensors"
    bad.write_bytes(b"no tensors")
    (tmp_path / "tiny-notes.safetensors").write_bytes(b"")
    monkeypatch.setenv("LIC_WEIGHTS_PATH", str(tmp_path))
    result = run("models", "--json", code=1)
    found = json.loads(result.stdout)[0]["weights"]
    assert [row["generation"] for row in found] == [7, shipped]
    assert str(bad) in found[0]["problem"]
    assert str(bad) in result.stderr
    assert "damaged" in run("models", code=1).stdout


def test_demo(png: Path, tmp_path: Path) -> None:
    out = tmp_path / "compared.png"
    text = run("demo", png, *TINY, "-o", out).stdout
    for name in ("LIC tiny", "JPEG", "WEBP", "AVIF"):
        assert name in text
    with Image.open(out) as compared:
        assert compared.width > 5 * 40
        assert compared.height > 2 * 24  # overview and detail
    assert "--overwrite" in run("demo", png, *TINY, "-o", out, code=1).stderr
    assert "kitten" in run("demo", "dog", *TINY, "-o", tmp_path / "dog.png", code=1).stderr


def test_demo_looks_where_it_writes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_load", None)
    monkeypatch.chdir(tmp_path)
    Path("mine.png").write_bytes(b"mine")
    assert "mine.png: exists" in run("demo", *TINY, "-o", "mine.png", code=1).stderr
    assert "[default: lic-demo.png]" in run("demo", "--help").output
    for name in ("dd2", "a.lic"):
        found = run("demo", *TINY, "-o", name, code=2)
        assert f"found {name}, allowed is the suffix" in found.output
    assert "'nope'" in run("demo", "--model", "nope", "-o", "a.png", code=2).output
    assert names(tmp_path) == {"mine.png"}
    assert Path("mine.png").read_bytes() == b"mine"


def test_demo_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lic_models import weights

    monkeypatch.setattr(weights, "folders", lambda: [tmp_path])
    monkeypatch.chdir(tmp_path)
    assert "'tiny'" in run("demo", *TINY, code=1).stderr
    assert "none installed" in run("models").stdout
    assert not names(tmp_path)


def test_demo_leaves_out_what_pillow_lacks(
    png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    result = run("demo", png, *TINY, "-o", tmp_path / "compared.png")
    assert "without avif" in result.stderr
    assert "WEBP" in result.stdout
    assert "AVIF" not in result.stdout


def test_demo_gives_rivals_enough_bytes(tmp_path: Path) -> None:
    from pillow_lic.cli.coders import RIVALS

    pixels = np.asarray(picture(size=(64, 64)))
    for size in (1, 900, 10**6):
        quality, found = measure.at_size(RIVALS["jpeg"], pixels, size, tmp_path)
        assert found.size >= size or quality == 100
    assert quality == 100


@pytest.mark.parametrize("name", sorted(demo.PHOTOS))
def test_bundled_photos(name: str) -> None:
    pixels, (across, down) = demo._load(name)
    assert pixels.ndim == 3
    assert pixels.size > 2_000_000
    assert 0 < across < 1
    assert 0 < down < 1


def test_starts_and_informs_without_torch(coded: Path) -> None:
    """Torch takes two seconds to import, which `--help` and `info` must not."""
    code = (
        "import sys\n"
        "from pillow_lic.cli import app\n"
        "for words in (['--help'], ['info', sys.argv[1]], ['verify', sys.argv[1]]):\n"
        "    app(words, standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code, str(coded)], check=True, stdout=subprocess.DEVNULL)


def test_thumbnails_are_named_as_what_they_are(coded: Path, tmp_path: Path) -> None:
    """Where desktops give names, these may have any other suffix, or none."""
    for name in ("a.jpg", "a.lic", "a.WEBP"):
        text = run("thumbnail", coded, tmp_path / name, code=2).output
        assert f"{name}, allowed is a name that ends in .png" in text
    good = "a.png", "b.PNG", "c", "d.x7Rz2k"
    for name in good:
        run("thumbnail", coded, tmp_path / name)
    assert names(tmp_path) == {"sound.lic", *good}
