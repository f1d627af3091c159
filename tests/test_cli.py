"""`lic encode` and `decode`: what they write and refuse, and that a failure leaves nothing."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import TINY, names, run
from PIL import Image, PngImagePlugin
from samples import EXIF, ICC, XMP, distance, join, lic, picture, resealed, split

from pillow_lic.cli import progress


def test_encode_and_decode(png: Path, tmp_path: Path) -> None:
    run("encode", png, *TINY, "--quality", 95)
    run("decode", tmp_path / "one.lic", "-o", tmp_path / "back.png")
    with Image.open(tmp_path / "back.png") as back:
        assert distance(back, picture()) < 25
    assert names(tmp_path) == {"one.png", "one.lic", "back.png"}


def test_encode_with_a_preview(tmp_path: Path) -> None:
    picture("RGB", (300, 200)).save(tmp_path / "a.png")
    run("encode", tmp_path / "a.png", *TINY, "--preview", 64)
    tags = [tag for tag, _ in split((tmp_path / "a.lic").read_bytes())[1]]
    assert tags == ["p", "T"]


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
        ("--tile", "65", "multiples of 64"),
        ("--preview", "15", "16 to 1024 pixels or none"),
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
def test_what_is_not_there(png: Path, option: str, value: str, allowed: str) -> None:
    result = run("encode", png, *TINY, option, value, code=2)
    assert value in result.stderr
    assert allowed in result.stderr
    run("encode", png, *TINY, "--quality", 50, "--target-bpp", 1, code=2)
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


def test_other_pictures_are_no_frames(tmp_path: Path) -> None:
    """A photo with a smaller one or one for the other eye beside it, as cameras write them."""
    for size in ((64, 48), (128, 96)):
        source = tmp_path / "a.jpg"
        picture(size=(128, 96)).save(
            source, "MPO", save_all=True, append_images=[picture(size=size)]
        )
        assert "took the first of 2" in run("encode", source, *TINY, "--overwrite").stderr
        with Image.open(tmp_path / "a.lic") as image:
            assert (image.size, image.n_frames) == ((128, 96), 1)


def test_streams_are_no_names(png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ("encode", png, *TINY, "-o", "-"),
        ("encode", "-", *TINY),
        ("decode", "-"),
        ("thumbnail", png, "-"),
        ("bench", tmp_path, "-o", "-"),
    ):
        assert "input and output are not supported" in run(*words, code=2).output
    assert names(tmp_path) == {"one.png"}


def test_paths_that_are_none(png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell makes an empty name of a variable that is not set."""
    monkeypatch.chdir(tmp_path)
    for words in (
        ("encode", "", *TINY),
        ("decode", "", "-o", tmp_path),
        ("thumbnail", "", tmp_path / "a.png"),
        ("bench", tmp_path, "-o", ""),
    ):
        assert "found an empty name" in run(*words, code=2).output
    assert "which is a file" in run("bench", tmp_path, "-o", png, code=2).output
    assert names(tmp_path) == {"one.png"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk")
def test_where_output_goes_may_be_full(coded: Path) -> None:
    """Which is no fault of the files."""
    for words in (("verify",), ("info",), ("info", "--json")):
        with open("/dev/full", "w") as full:
            found = subprocess.run(
                [sys.executable, "-m", "pillow_lic", *words, str(coded)],
                stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert found.returncode == 1
        assert found.stderr.splitlines()[0] == "lic: [Errno 28] No space left on device"


def test_who_reads_along_may_go(coded: Path) -> None:
    """Which is no fault of the files; the status is that of what SIGPIPE ends."""
    for command in ("verify", "info"):  # which print by themselves and through rich
        reading, writing = os.pipe()
        os.close(reading)
        words = sys.executable, "-m", "pillow_lic", command, str(coded)
        found = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False)
        os.close(writing)
        assert (found.returncode, found.stderr) == (141, b"")


def test_odd_names(png: Path, tmp_path: Path) -> None:
    run("encode", png, *TINY, "-o", tmp_path / ("n" * 250 + ".lic"))
    folder = tmp_path / "new"
    run("encode", png, *TINY, "-o", folder)
    assert names(folder) == {"one.lic"}


def test_devices_and_links_stay_what_they_are(png: Path, tmp_path: Path) -> None:
    text = run("encode", png, *TINY, "-o", "/dev/null", "--overwrite", code=1).stderr
    assert "device" in text
    assert Path("/dev/null").is_char_device()
    (tmp_path / "to.lic").write_bytes(b"mine")
    link = tmp_path / "link.lic"
    link.symlink_to("to.lic")
    run("encode", png, *TINY, "-o", link, "--overwrite")
    assert link.is_symlink()
    assert (tmp_path / "to.lic").read_bytes().startswith(b"\x8aLIC")
    (tmp_path / "to.lic").unlink()
    assert "exists" in run("encode", png, *TINY, "-o", link, code=1).stderr
    assert names(tmp_path) == {"one.png", "link.lic"}


def test_what_other_formats_cannot_hold(tmp_path: Path) -> None:
    """Of several files one that Pillow's savers stumble over does not stop the others."""
    long = lic(save_all=True, append_images=[picture()], duration=2**31 - 1)
    orientation = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\xff\xff\xff\xff\0\0\0\0"
    number = b"MM\0*\0\0\0\x08\0\x01\x01\x0e\0\x0c\0\0\0\x01\0\0\0\x1a\0\0\0\0" + bytes(8)
    for suffix, data in (
        ("gif", long),
        ("avif", lic(exif=orientation)),
        ("tiff", lic(exif=number)),
    ):
        (tmp_path / "a.lic").write_bytes(data)
        (tmp_path / "b.lic").write_bytes(lic())
        words = tmp_path / "a.lic", tmp_path / "b.lic", "-f", suffix, "--overwrite"
        found = run("decode", *words, code=1)
        assert len(found.stderr.splitlines()) == 1
        assert f"a.{suffix}: cannot be written" in found.stderr
        assert (tmp_path / f"b.{suffix}").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such names")
def test_names_that_steer_a_terminal(coded: Path, tmp_path: Path) -> None:
    bad = tmp_path / "evil\n\x1b[2Jx.lic"
    bad.write_bytes(coded.read_bytes())
    for command in ("verify", "info", "decode", "strip"):
        options = ("-o", tmp_path / "folder") if command == "strip" else ()
        found = run(command, bad, *options).output
        assert r"evil\n\x1b[2Jx.lic" in found.replace(".png", ".lic")
        assert "\x1b" not in found
    bad.write_bytes(b"")
    assert len(run("verify", bad, code=1).stderr.splitlines()) == 1


@pytest.mark.parametrize("error", [SyntaxError, RuntimeError, EOFError, KeyError, struct.error])
def test_whatever_a_decoder_raises(
    png: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's plugins for other formats let these through for damaged files."""

    def load(image: Image.Image) -> None:
        raise error("broken")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    result = run("encode", png, *TINY, code=1)
    assert "one.png: cannot be read: " in result.stderr
    assert "Traceback" not in result.stderr
    assert names(png.parent) == {"one.png"}


def test_bad_input_does_not_stop_the_others(png: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(png.read_bytes()[:60])
    result = run("encode", bad, tmp_path / "gone.png", png, *TINY, "-o", tmp_path / "out", code=1)
    assert result.stderr.count("lic: ") == 2
    assert names(tmp_path / "out") == {"one.lic"}


def test_two_results_in_one_place(png: Path, tmp_path: Path) -> None:
    picture().save(tmp_path / "one.bmp")
    picture("L").save(tmp_path / "two.png")
    result = run("encode", png, tmp_path / "one.bmp", tmp_path / "two.png", *TINY, code=1)
    assert "one.png and" in result.stderr
    assert "one.bmp would both become" in result.stderr
    assert names(tmp_path) == {"one.png", "one.bmp", "one.lic", "two.png", "two.lic"}


def test_going_on_where_one_stopped(png: Path, tmp_path: Path) -> None:
    """With everything that the shell's star finds."""
    run("encode", png, *TINY)
    before = (tmp_path / "one.lic").read_bytes()
    picture("L").save(tmp_path / "two.png")
    found = sorted(tmp_path.iterdir())
    result = run("encode", *found, *TINY, "--skip-existing", "--quality", 3)
    assert "skipped 2" in result.stderr
    assert (tmp_path / "one.lic").read_bytes() == before
    assert names(tmp_path) == {"one.png", "one.lic", "two.png", "two.lic"}
    result = run("decode", tmp_path / "one.lic", tmp_path / "two.lic", "--skip-existing")
    assert "skipped 2" in result.stderr


def test_what_is_to_be_read_is_not_replaced(png: Path, tmp_path: Path) -> None:
    run("encode", png, *TINY)
    before = (tmp_path / "one.lic").read_bytes()
    both = png, tmp_path / "one.lic"
    result = run("encode", *both, *TINY, "-q", 5, "--overwrite", code=1)
    assert "to be read" in result.stderr
    assert (tmp_path / "one.lic").read_bytes() != before  # one.lic became itself, coded anew
    with Image.open(tmp_path / "one.lic") as image:
        assert image.info["quality"] == 5


def test_malformed_exif(tmp_path: Path) -> None:
    """A resolution unit that does not fit its type, beside an orientation that does."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02"
    exif += b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\x01\x28\0\x04\0\0\0\x01\0\x01\x11\x70"
    exif += b"\0\0\0\0"
    picture().save(tmp_path / "a.jpg", exif=exif)
    run("encode", tmp_path / "a.jpg", *TINY)
    with Image.open(tmp_path / "a.lic") as image:
        assert image.size == (24, 40)
    run("encode", tmp_path / "a.jpg", *TINY, "--keep-metadata", "--overwrite")
    run("decode", tmp_path / "a.lic", "-o", tmp_path / "a.bmp")
    run("thumbnail", tmp_path / "a.lic", tmp_path / "a.png")
    for name in ("a.bmp", "a.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (24, 40)


def test_long_names(tmp_path: Path) -> None:
    """As long as systems allow, whose letters take several bytes each."""
    name = "写" * 80
    picture().save(tmp_path / f"{name}.png")
    run("encode", tmp_path / f"{name}.png", *TINY)
    assert names(tmp_path) == {f"{name}.png", f"{name}.lic"}


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="may write anywhere")
def test_folders_that_cannot_be_written_to(png: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "written to" in run("encode", png, *TINY, code=1).stderr
    assert "written to" in run("encode", png, *TINY, "-o", tmp_path / "new/a.lic", code=1).stderr


def test_file_where_a_directory_should_be(png: Path, tmp_path: Path) -> None:
    picture().save(tmp_path / "two.png")
    several = png, tmp_path / "two.png"
    run("encode", *several, *TINY, "-o", png, code=2)
    assert "no folder" in run("encode", png, *TINY, "-o", png / "a.lic", code=1).stderr
    for name in ("many.lic", "many.PNG"):
        found = run("encode", *several, *TINY, "-o", tmp_path / name, code=2)
        assert f"{name}, allowed for several inputs is a directory" in found.output
    assert names(tmp_path) == {"one.png", "two.png"}
    run("encode", *several, *TINY, "-o", tmp_path / "album.2")
    assert names(tmp_path / "album.2") == {"one.lic", "two.lic"}


def test_folders_of_results_are_made(png: Path, tmp_path: Path) -> None:
    run("encode", png, *TINY, "-o", tmp_path / "new" / "deep" / "a.lic")
    assert names(tmp_path / "new" / "deep") == {"a.lic"}


def test_who_is_named_twice_is_taken_once(png: Path, tmp_path: Path) -> None:
    run("encode", png, tmp_path, png, *TINY, "-o", tmp_path / "a.lic")
    assert names(tmp_path) == {"one.png", "a.lic"}


def test_names_that_stdout_cannot_hold(tmp_path: Path) -> None:
    """As on Windows, where output goes to a file."""
    (tmp_path / "図.lic").write_bytes(lic())
    found = subprocess.run(
        [sys.executable, "-m", "pillow_lic", "verify", tmp_path / "図.lic"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert (found.returncode, b"\\u56f3.lic" in found.stdout) == (0, True), found.stderr


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


@pytest.mark.parametrize("suffix", ["webp", "gif", "jpg", "png"])
def test_grey_of_16_bits_is_shown_where_8_must_do(suffix: str, tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.lic", model="tiny", quality=90)
    run("decode", tmp_path / "a.lic", "-f", suffix)
    with Image.open(tmp_path / "a.lic") as coded, Image.open(tmp_path / f"a.{suffix}") as decoded:
        want = np.asarray(coded) / 257
        found = np.asarray(decoded) / 257 if suffix == "png" else np.asarray(decoded.convert("L"))
        assert (decoded.mode == "I;16") == (suffix == "png")
    assert np.abs(found - want).mean() < 3


def test_a_suffix_says_what_a_file_is(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    found = run("encode", tmp_path / "a.png", *TINY, "-o", tmp_path / "b.png", code=2)
    assert "allowed is a name that ends in .lic" in found.output
    run("encode", tmp_path / "a.png", *TINY)
    for words in (("-o", tmp_path / "b.lic"), ("-f", "lic")):
        found = run("decode", tmp_path / "a.lic", *words, code=2)
        assert "of a format that Pillow writes, other than LIC" in found.output
    assert names(tmp_path) == {"a.png", "a.lic"}


def test_who_is_terminated_leaves_no_half_file(tmp_path: Path) -> None:
    """As batch queues do it, and `timeout`."""
    code = (
        "import os, signal, sys; from pillow_lic import cli; from pillow_lic.cli import encode\n"
        "def _encode(source, target, **how):\n"
        "    with encode.files.atomic(target, False) as path:\n"
        "        path.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGTERM)\n"
        "encode._encode = _encode; sys.argv = ['lic', 'encode', 'a.png']; cli.main()"
    )
    picture().save(tmp_path / "a.png")
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert found.returncode == 143
    assert names(tmp_path) == {"a.png"}


def test_a_text_that_is_named_exif_is_not(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("exif", "a text")
    picture().save(tmp_path / "a.png", pnginfo=texts)
    run("encode", tmp_path / "a.png", *TINY, "--keep-metadata")
    with Image.open(tmp_path / "a.lic") as coded:
        assert "exif" not in coded.info


def test_metadata_of_tiff_is_not_its_layout(tmp_path: Path) -> None:
    """Pillow's `getexif` of a TIFF lists strips and profile too, which mean nothing in a `.lic`."""
    described = Image.Exif()
    described[271] = "Maker"
    picture().save(tmp_path / "a.tiff", exif=described, icc_profile=ICC)
    run("encode", tmp_path / "a.tiff", *TINY, "--keep-metadata")
    with Image.open(tmp_path / "a.lic") as coded:
        assert dict(coded.getexif()) == {271: "Maker"}
        assert coded.info["icc_profile"] == ICC


def test_tiles_and_sizes(png: Path, tmp_path: Path) -> None:
    picture(size=(130, 70)).save(png)
    text = run("encode", png, *TINY, "--tile", 64).stdout
    data = (tmp_path / "one.lic").read_bytes()
    assert len(split(data)[1]) == 6
    assert f"{png.stat().st_size:,} -> {len(data):,} bytes" in text
    assert f"{8 * len(data) / (130 * 70):.3f} bpp" in text


def test_bars_name_files_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With square brackets, which rich takes for markup."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    with progress.tiles(9, "encoding a[b].png", alone=True) as on_tile:
        assert on_tile
        on_tile()
    assert "a[b].png" in capsys.readouterr().err


def test_frames_are_not_lost(tmp_path: Path) -> None:
    first, other = picture(), picture().transpose(Image.Transpose.ROTATE_180)
    first.save(tmp_path / "film.webp", save_all=True, append_images=[other])
    run("encode", tmp_path / "film.webp", *TINY)
    with Image.open(tmp_path / "film.lic") as film:
        assert film.n_frames == 2


@pytest.mark.parametrize("suffix", ["webp", "png", "tif"])
def test_decoded_metadata(suffix: str, coded: Path, tmp_path: Path) -> None:
    kept, dropped = tmp_path / f"with.{suffix}", tmp_path / f"without.{suffix}"
    run("decode", coded, "-o", kept)
    run("decode", coded, "-o", dropped, "--no-keep-metadata")
    with Image.open(kept) as image:
        assert image.getexif()[274] == 6
        assert image.info["xmp"] == XMP
    with Image.open(dropped) as image:
        assert {"exif", "xmp"}.isdisjoint(image.info)
        assert image.info["icc_profile"] == ICC


def test_decode_refuses_what_it_cannot_write(coded: Path, tmp_path: Path) -> None:
    assert "xyz" in run("decode", coded, "--format", "xyz", code=2).output
    assert "a.xyz" in run("decode", coded, "-o", tmp_path / "a.xyz", code=2).output
    assert "RGBA" in run("decode", coded, "-o", tmp_path / "a.jpg", code=1).stderr
    assert names(tmp_path) == {"sound.lic"}


def test_decode_refuses_other_formats(png: Path) -> None:
    png.rename(png.with_suffix(".lic"))
    run("decode", png.with_suffix(".lic"), code=1)
    assert names(png.parent) == {"one.lic"}
