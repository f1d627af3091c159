"""`lic strip` and `lic transcode`: what stays in a file and what goes."""

from __future__ import annotations

import io
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from commands import names, run
from PIL import ExifTags, Image
from samples import EXIF, ICC, XMP, distance, join, lic, part, picture, split

from pillow_lic import container

BIG = (300, 200)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A file with everything, an unknown part too."""
    path = tmp_path / "full.lic"
    data = lic(
        picture("RGBA", BIG), exif=EXIF, xmp=XMP, icc_profile=ICC, preview=64, quality=60, tile=128
    )
    header, parts = split(data)
    path.write_bytes(header + part("q", b"?") + join(b"", parts))
    return path


def tags(path: Path) -> str:
    return "".join(tag for tag, _ in split(path.read_bytes())[1])


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ((), "ieATTTTTT"),
        (("--drop-profile",), "eATTTTTT"),
        (("--keep", "exif", "--keep", "preview"), "iepATTTTTT"),
        (("--drop-profile", "--keep", "xmp"), "exATTTTTT"),
    ],
)
def test_strip(full: Path, tmp_path: Path, options: tuple[str, ...], left: str) -> None:
    out = tmp_path / "out.lic"
    run("strip", full, "-o", out, *options)
    assert tags(out) == left
    assert split(out.read_bytes())[1][-7:] == split(full.read_bytes())[1][-7:]
    assert part("q", b"?") not in out.read_bytes()
    with Image.open(full) as one, Image.open(out) as other:
        assert one.tobytes() == other.tobytes()


def test_strip_in_place_needs_leave(full: Path, tmp_path: Path) -> None:
    run("strip", full, code=1)
    assert part("q", b"?") in full.read_bytes()
    run("strip", full, "--overwrite")
    assert tags(full) == "ieATTTTTT"
    assert names(tmp_path) == {"full.lic"}


def test_going_on_where_one_stopped(full: Path, tmp_path: Path) -> None:
    (tmp_path / "more.lic").write_bytes(full.read_bytes())
    for command in ("strip", "transcode"):
        out = tmp_path / command
        run(command, full, "-o", out)
        before = (out / "full.lic").stat().st_mtime_ns
        assert "skipped 1" in run(command, tmp_path, "-o", out, "--skip-existing").stderr
        assert names(out) == {"full.lic", "more.lic"}
        assert (out / "full.lic").stat().st_mtime_ns == before


def test_strip_leaves_of_exif_how_to_turn(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "a camera", 8
    path = tmp_path / "a.lic"
    path.write_bytes(lic(exif=exif))
    run("strip", path, "--overwrite")
    with Image.open(path) as image:
        assert dict(image.getexif()) == {ExifTags.Base.Orientation: 8}
    for other in (1, 99):
        exif[ExifTags.Base.Orientation] = other
        path.write_bytes(lic(exif=exif))
        run("strip", path, "--overwrite")
        assert tags(path) == "T"


def test_who_may_read_stays_as_it_was(full: Path) -> None:
    full.chmod(0o600)
    run("strip", full, "--overwrite")
    assert full.stat().st_mode & 0o777 == 0o600


def test_strip_refuses_what_it_does_not_know(full: Path) -> None:
    assert "allowed are icc_profile" in run("strip", full, "--keep", "gps", code=2).output


def test_strip_refuses_damage(full: Path, tmp_path: Path) -> None:
    full.write_bytes(full.read_bytes()[:-3])
    assert "truncated" in run("strip", full, "-o", tmp_path / "out.lic", code=1).stderr
    assert names(tmp_path) == {"full.lic"}


def test_transcode_keeps_all(full: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.lic"
    run("transcode", full, "-o", out, "--quality", 90)
    assert tags(out) == "iexpATTTTTT"
    with Image.open(full) as before, Image.open(out) as after:
        assert after.info == {**before.info, "quality": 90.0}
        assert after.header.tile == 128
        assert after.getchannel("A").tobytes() == before.getchannel("A").tobytes()
        assert distance(before.convert("RGB"), after.convert("RGB")) < 25


def test_transcode_keeps_depth_and_kind(tmp_path: Path) -> None:
    """16 bits of colour, which Pillow has no mode for, and a sequence of one frame."""
    ramp = np.linspace(0, 65535, 60 * 80 * 3).astype(np.uint16).reshape(60, 80, 3)
    path, out = tmp_path / "a.lic", tmp_path / "b.lic"
    iio.imwrite(path, ramp, model="tiny")
    run("transcode", path, "-o", out, "--quality", 90)
    assert (iio.improps(out).dtype, iio.improps(out).shape) == (np.uint16, ramp.shape)
    still = split(lic(quality=60))[1]
    header = container.read_header(io.BytesIO(lic(quality=60)))._replace(sequence=True)
    timing = ("F", container.Timing(3, (70,)).pack())
    path.write_bytes(join(header.pack(), [timing, *still]))
    run("transcode", path, "--overwrite")
    assert [tag for tag, _ in split(path.read_bytes())[1]] == ["F", "T"]
    with Image.open(path) as image:
        assert (image.info["loop"], image.info["duration"], image.info["quality"]) == (3, 70, 60)


def test_transcode_changes_what_is_asked(full: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.lic"
    run("transcode", full, "-o", out, "--tile", 0, "--preview", 32)
    assert tags(out) == "iexpAT"
    with Image.open(out) as image:
        image.draft(None, (16, 16))
        assert max(image.size) == 32
        assert image.info["quality"] == 60


def test_transcode_to_no_preview(full: Path, tmp_path: Path) -> None:
    """Nor does the old one stay where the picture is too small for the new one."""
    for edge in (0, 300):
        run("transcode", full, "-o", tmp_path / f"{edge}.lic", "--preview", edge)
        assert tags(tmp_path / f"{edge}.lic") == "iexATTTTTT"


def test_transcode_to_a_target(tmp_path: Path) -> None:
    """In place of the file's quality."""
    plain, out = tmp_path / "plain.lic", tmp_path / "out.lic"
    plain.write_bytes(lic(picture("RGB", BIG), quality=60))
    size = plain.stat().st_size * 3 // 4
    run("transcode", plain, "-o", out, "--target-size", size)
    assert 0.9 * size < out.stat().st_size <= size
    both = "--target-size", size, "--quality", 50
    assert "allowed is one of them" in run("transcode", plain, "-o", out, *both, code=2).output
