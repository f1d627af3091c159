"""The `lic` command: what it writes, what it refuses, and that a failure leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from samples import EXIF, HEADER, ICC, XMP, distance, join, lic, picture, resealed, split
from typer.testing import CliRunner, Result

from pillow_lic import container
from pillow_lic.cli import app, demo

TINY = ("--model", "tiny")


def run(*words: object, code: int = 0) -> Result:
    """Run a command and return its result, whose status must be as said."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """A picture that no other test shares."""
    path = tmp_path / "one.png"
    picture().save(path)
    return path


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    """A sound file with all metadata and alpha."""
    path = tmp_path / "sound.lic"
    path.write_bytes(lic(picture("RGBA"), exif=EXIF, icc_profile=ICC, xmp=XMP, quality=62.5))
    return path


def test_encode_and_decode(png: Path, tmp_path: Path) -> None:
    run("encode", png, *TINY, "--quality", 95)
    run("decode", tmp_path / "one.lic", "-o", tmp_path / "back.png")
    with Image.open(tmp_path / "back.png") as back:
        assert distance(back, picture()) < 25
    assert names(tmp_path) == {"one.png", "one.lic", "back.png"}


def test_directory_for_several(png: Path, tmp_path: Path) -> None:
    picture("L").save(tmp_path / "two.tiff")
    out = tmp_path / "deep" / "out"
    run("encode", png, tmp_path / "two.tiff", *TINY, "-o", out)
    assert names(out) == {"one.lic", "two.lic"}
    run("decode", *sorted(out.iterdir()), "-o", out, "--format", "bmp")
    with Image.open(out / "two.bmp") as back:
        assert back.mode == "L"


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("--quality", "0", "1 to 100"),
        ("--quality", "101", "1 to 100"),
        ("--quality", "nan", "1 to 100"),
        ("--quality", "high", "1 to 100"),
        ("--unheard", "1", "No such option"),
    ],
)
def test_bad_option(png: Path, option: str, value: str, allowed: str) -> None:
    result = run("encode", png, *TINY, option, value, code=2)
    assert allowed in result.output
    assert names(png.parent) == {"one.png"}


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("--model", "jpeg", "tiny (0)"), ("--device", "abacus", "auto, cpu")],
)
def test_bad_value_found_on_the_way(png: Path, option: str, value: str, allowed: str) -> None:
    result = run("encode", png, *TINY, option, value, code=1)
    assert value in result.stderr
    assert allowed in result.stderr
    assert names(png.parent) == {"one.png"}


def test_existing_file_stays(png: Path, tmp_path: Path) -> None:
    target = tmp_path / "one.lic"
    target.write_bytes(b"mine")
    assert "--overwrite" in run("encode", png, *TINY, code=1).stderr
    assert target.read_bytes() == b"mine"
    run("encode", png, *TINY, "--overwrite")
    assert target.read_bytes().startswith(b"\x8aLIC")


def test_failure_leaves_the_old_file(tmp_path: Path, coded: Path) -> None:
    """Found only while decoding, when a file is being written already."""
    header, parts = split(coded.read_bytes())
    (tmp_path / "lost.lic").write_bytes(join(resealed(header, 12, b"nobody's"), parts))
    target = tmp_path / "back.png"
    target.write_bytes(b"mine")
    result = run("decode", tmp_path / "lost.lic", "-o", target, "--overwrite", code=1)
    assert b"nobody's".hex() in result.stderr
    assert target.read_bytes() == b"mine"
    assert names(tmp_path) == {"sound.lic", "lost.lic", "back.png"}


def test_bad_input_does_not_stop_the_others(png: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(png.read_bytes()[:60])
    result = run("encode", bad, tmp_path / "gone.png", png, *TINY, "-o", tmp_path / "out", code=1)
    assert result.stderr.count("lic: ") == 2
    assert names(tmp_path / "out") == {"one.lic"}


def test_two_results_in_one_place(png: Path, tmp_path: Path) -> None:
    picture().save(tmp_path / "one.bmp")
    result = run("encode", png, tmp_path / "one.bmp", *TINY, code=2)
    assert "would both become" in result.output
    assert names(tmp_path) == {"one.png", "one.bmp"}


def test_file_where_a_directory_should_be(png: Path, tmp_path: Path) -> None:
    picture().save(tmp_path / "two.png")
    run("encode", png, tmp_path / "two.png", *TINY, "-o", png, code=2)


def test_metadata_kept_on_demand(tmp_path: Path) -> None:
    """Unless the orientation is stored, the pixels are turned as it says."""
    source = tmp_path / "turned.jpg"
    picture().save(source, exif=b"Exif\0\0" + EXIF, xmp=XMP, icc_profile=ICC)
    run("encode", source, *TINY, "-o", tmp_path / "plain.lic")
    run("encode", source, *TINY, "-o", tmp_path / "kept.lic", "--keep-metadata")
    with Image.open(tmp_path / "plain.lic") as plain, Image.open(tmp_path / "kept.lic") as kept:
        assert (plain.size, kept.size) == ((24, 40), (40, 24))
        assert plain.info["icc_profile"] == kept.info["icc_profile"] == ICC
        assert {"exif", "xmp"}.isdisjoint(plain.info)
        assert kept.getexif()[274] == 6
        assert kept.info["xmp"] == XMP


def test_frames_are_not_lost_silently(tmp_path: Path) -> None:
    first, other = picture(), picture().transpose(Image.Transpose.ROTATE_180)
    first.save(tmp_path / "film.webp", save_all=True, append_images=[other])
    result = run("encode", tmp_path / "film.webp", *TINY)
    assert "2 frames, only the first" in result.stderr


def test_decoded_metadata(coded: Path, tmp_path: Path) -> None:
    run("decode", coded, "-o", tmp_path / "with.webp")
    run("decode", coded, "-o", tmp_path / "without.webp", "--no-keep-metadata")
    with Image.open(tmp_path / "with.webp") as image:
        assert image.getexif()[274] == 6
        assert image.info["xmp"] == XMP
    with Image.open(tmp_path / "without.webp") as image:
        assert {"exif", "xmp"}.isdisjoint(image.info)
        assert image.info["icc_profile"] == ICC


def test_decode_refuses_what_it_cannot_write(coded: Path, tmp_path: Path) -> None:
    assert "xyz" in run("decode", coded, "--format", "xyz", code=2).output
    assert ".xyz" in run("decode", coded, "-o", tmp_path / "a.xyz", code=1).stderr
    assert "RGBA" in run("decode", coded, "-o", tmp_path / "a.jpg", code=1).stderr
    assert names(tmp_path) == {"sound.lic"}


def test_decode_refuses_other_formats(png: Path) -> None:
    png.rename(png.with_suffix(".lic"))
    run("decode", png.with_suffix(".lic"), code=1)
    assert names(png.parent) == {"one.lic"}


def information(path: Path, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("info", path, "--json", code=code).stdout)
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


def test_verify_needs_no_memory_for_pixels(tmp_path: Path) -> None:
    """Pillow would call this size an attack; its checksums can be looked at all the same."""
    header = HEADER._replace(width=16000, height=16000)
    path = tmp_path / "huge.lic"
    path.write_bytes(container.write(header, {}, None, [b"tile"]))
    run("verify", path)


def test_models() -> None:
    text = run("models").stdout
    assert "tiny" in text
    assert "elic" in text
    assert split(lic())[0][12:20].hex() in text


def test_demo(png: Path, tmp_path: Path) -> None:
    out = tmp_path / "compared.png"
    text = run("demo", png, *TINY, "-o", out).stdout
    for name in ("LIC tiny", "JPEG", "WEBP", "AVIF"):
        assert name in text
    with Image.open(out) as compared:
        assert compared.width > 5 * 40
    assert "--overwrite" in run("demo", png, *TINY, "-o", out, code=1).stderr
    assert "kitten" in run("demo", "dog", *TINY, code=1).stderr


def test_demo_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lic_models import weights

    monkeypatch.setattr(weights, "folders", lambda: [tmp_path])
    monkeypatch.chdir(tmp_path)
    assert "'tiny'" in run("demo", *TINY, code=1).stderr
    assert "no weights installed" in run("models").stdout
    assert not names(tmp_path)


def test_demo_gives_rivals_enough_bytes(tmp_path: Path) -> None:
    from pillow_lic.cli.coders import RIVALS

    pixels = np.asarray(picture(size=(64, 64)))
    for size in (1, 900, 10**6):
        quality, found = demo.at_size(RIVALS["jpeg"], pixels, size, tmp_path)
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
