"""`lic bench` on two small pictures and the smallest model."""

from __future__ import annotations

import io
import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run as command
from rich.console import Console
from samples import picture
from typer.testing import Result

from pillow_lic.cli import measure, metrics, results, tables
from pillow_lic.cli.coders import RIVALS

SIZES = (176, 200), (208, 168)


bench = partial(command, "bench", code=None)


def written(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two pictures, and of what other systems leave beside them."""
    path = tmp_path_factory.mktemp("pictures")
    for index, size in enumerate(SIZES):
        picture("RGB", size).save(path / f"{index}.png")
    for name in ("notes.txt", "._0.png"):
        (path / name).write_text("no picture")
    (path / "folder.png").mkdir()
    return path


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """One run that most tests look at, and where it wrote."""
    out = tmp_path_factory.mktemp("out") / "new[x]"  # which is no markup
    options = "--model", "tiny", "--quality", "20,50,80", "--rivals", "jpeg,webp"
    return bench(folder, *options, "--anchor", "jpeg,webp", "--estimate", "--out", out), out


@pytest.fixture
def out(run: tuple[Result, Path], tmp_path: Path) -> Path:
    """A copy of that run's results, to go on from."""
    return Path(shutil.copytree(run[1], tmp_path / "copy"))


def test_every_image_coder_and_quality_has_a_row(run: tuple[Result, Path]) -> None:
    assert run[0].exit_code == 0, run[0].output
    rows = written(run[1])["rows"]
    assert len(rows) == 2 * (3 + 11 + 10)
    for row in rows:
        assert (row["width"], row["height"]) == SIZES[int(row["image"][0])]
        assert row["bpp"] == 8 * row["file_bytes"] / (row["width"] * row["height"])
        assert 0 < row["ms_ssim"] <= 1
        assert min(row["psnr"], row["encode_s"], row["decode_s"]) > 0


def test_rows_are_what_pillow_writes(run: tuple[Result, Path], tmp_path: Path) -> None:
    """One of them again, by hand."""
    path = tmp_path / "a.jpg"
    options: dict[str, Any] = {"subsampling": "4:2:0", "optimize": True, "progressive": True}
    picture("RGB", SIZES[0]).save(path, quality=30, **options)
    (row,) = (
        row
        for row in written(run[1])["rows"]
        if (row["coder"], row["quality"], row["image"]) == ("jpeg", 30, "0.png")
    )
    assert row["file_bytes"] == path.stat().st_size
    original = np.asarray(picture("RGB", SIZES[0]))
    assert row["psnr"] == metrics.psnr(original, measure.pixels_of(path))


def test_summary(run: tuple[Result, Path]) -> None:
    found = written(run[1])
    assert sorted(found["curves"]) == ["jpeg", "tiny", "webp"]
    assert [point["quality"] for point in found["curves"]["tiny"]] == [20, 50, 80]
    by_coder = {each["coder"]: each for each in found["summary"]}
    assert by_coder["jpeg"]["bd_psnr"]["jpeg"] == 0
    assert by_coder["webp"]["bd_psnr"]["jpeg"] < 0 < by_coder["jpeg"]["bd_psnr"]["webp"]
    assert by_coder["jpeg"]["estimated"] is None
    assert by_coder["tiny"]["estimated"] == pytest.approx(1, abs=0.1)  # a file has few bytes here
    assert found["peak_memory"] > 1 << 20
    assert "weights" in found["versions"]["tiny"]


def test_output_and_plot(run: tuple[Result, Path]) -> None:
    for text in ("BD-rates against jpeg", "BD-rates against webp", "tiny (weights"):
        assert text in run[0].output
    assert f"{run[1] / 'results.json'}  {run[1] / 'curves.png'}" in run[0].output
    assert (run[1] / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_estimate_covers_tiles(tmp_path: Path) -> None:
    """A picture in tiles has the payload, and about the bits, of all of them."""
    path = tmp_path / "a.lic"
    picture("RGB", (200, 136)).save(path, model="tiny", tile=64)
    pixels = measure.pixels_of(path)
    payload, bits = measure.estimate(pixels, path, "cpu")
    tiles = 4 * 3
    assert 0 < payload < path.stat().st_size - 6 * tiles  # tag, length and checksum of each
    assert 8 * payload - 64 * tiles < bits < 8 * payload + 64


OPTIONS = "--model", "tiny", "--rivals", "jpeg", "--out"


def test_published_curves(out: Path, folder: Path, tmp_path: Path) -> None:
    mine, jpeg = (written(out)["curves"][name] for name in ("tiny", "jpeg"))
    path = tmp_path / "curves.json"
    half = [[point["bpp"] * 2, point["psnr"], None] for point in mine]
    path.write_text(json.dumps({"twice": half, "other": half, "jpeg": half}))
    options = *OPTIONS, out, "--quality", "20,50,80", "--curves", path
    result = bench(folder, *options, "--anchor", "jpeg,twice")
    assert result.exit_code == 0, result.output
    summary = {each["coder"]: each for each in written(out)["summary"]}
    assert summary["tiny"]["bd_psnr"]["twice"] == pytest.approx(-50)
    assert summary["tiny"]["bd_ms_ssim"]["twice"] is None
    assert summary["twice"]["bd_psnr"]["twice"] == pytest.approx(0)
    assert "other" not in summary
    assert written(out)["curves"]["jpeg"] == jpeg  # what is measured here comes first
    assert summary["jpeg"]["bpp"] == [jpeg[0]["bpp"], jpeg[-1]["bpp"]]
    for bad in ("[]", '{"a": [[1, 2]]}', '{"a": 5}', '{"a": [["x", 1, 2]]}', "nothing"):
        path.write_text(bad)
        found = bench(folder, *options)
        assert found.exit_code == 2
        assert "--curves" in found.output


def test_efforts_are_coders_of_their_own(folder: Path, tmp_path: Path) -> None:
    options = "--model", "tiny", "--rivals", "none", "--quality", "20,50,80", "--limit", 1
    result = bench(folder, *options, "--effort", "1,0", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    found = written(tmp_path)
    assert list(found["curves"]) == ["tiny", "tiny effort 1"]
    gain = found["summary"][1]["bd_psnr"]["tiny"]
    assert gain < 0


def test_tunes_are_coders_of_their_own(folder: Path, tmp_path: Path) -> None:
    options = "--model", "tiny", "--rivals", "none", "--quality", "20,80", "--limit", 1
    options += "--effort", "0,1", "--tune", "psnr,ms-ssim", "--anchor", "tiny effort 1"
    result = bench(folder, *options, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert list(written(tmp_path)["curves"]) == ["tiny", "tiny effort 1", "tiny effort 1 ms-ssim"]


def test_rate_control_is_a_coder_of_its_own(folder: Path, tmp_path: Path) -> None:
    options = "--model", "tiny", "--rivals", "none", "--quality", "20,80", "--limit", 1
    result = bench(folder, *options, "--target-bpp", "0.2,0.4", "--anchor", "tiny", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    curves = written(tmp_path)["curves"]
    assert list(curves) == ["tiny", "tiny target_bpp"]
    for point in curves["tiny target_bpp"]:
        assert 0.95 * point["quality"] < point["bpp"] <= point["quality"]


def test_a_run_resumes(out: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is missing is measured; rows of coders not asked for stay."""
    path = out / "results.json"
    found = written(out)
    rows = [row for row in found["rows"] if (row["quality"], row["image"]) != (50, "1.png")]
    assert len(rows) == len(found["rows"]) - 1
    path.write_text(json.dumps({"rows": rows}))
    measured = []
    real = measure.compare

    def spy(*arguments: Any) -> measure.Row:
        measured.append(real(*arguments))
        return measured[-1]

    monkeypatch.setattr(measure, "compare", spy)
    again = bench(folder, *OPTIONS, out, "--quality", "20,50,80", "--estimate")
    assert again.exit_code == 0, again.output
    assert [(row.coder, row.quality, row.image) for row in measured] == [("tiny", 50, "1.png")]
    assert len(written(out)["rows"]) == len(found["rows"])
    assert sorted(written(out)["curves"]) == ["jpeg", "tiny"]


def test_other_conditions_are_measured_anew(out: Path, folder: Path) -> None:
    """Times of one thread are not those of two."""
    again = bench(folder, *OPTIONS, out, "--quality", "20", "--limit", 1, "--threads", 1)
    assert again.exit_code == 0, again.output
    versions = {row["version"] for row in written(out)["rows"] if row["coder"] == "tiny"}
    assert len(versions) == 2


def test_an_interrupted_run_keeps_its_rows(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = measure.compare

    def stop(picture: measure.Picture, *others: Any) -> measure.Row:
        if picture.path.name == "1.png":
            raise KeyboardInterrupt
        return real(picture, *others)

    monkeypatch.setattr(measure, "compare", stop)
    assert bench(folder, *OPTIONS, tmp_path).exit_code != 0
    assert len(written(tmp_path)["rows"]) == 11


def test_a_run_that_fails_at_once_changes_nothing(
    out: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "pixels_of", None)
    before = (out / "results.json").read_text()
    assert bench(folder, *OPTIONS, out, "--quality", "33").exit_code != 0
    assert (out / "results.json").read_text() == before


@pytest.mark.parametrize("content", ["", "[]", '{"rows": [{"coder": "a"}]}', '{"rows": 3}'])
def test_foreign_results_are_not_overwritten(folder: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    found = bench(folder, *OPTIONS, tmp_path)
    assert found.exit_code == 1
    assert "choose another --out" in found.output
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--quality", "0,50"), "--quality"),
        (("--quality", "high"), "--quality"),
        (("--effort", "0,10"), "--effort"),
        (("--effort", "1", "--estimate"), "--effort"),
        (("--effort", "1", "--tune", "ssim"), "--tune"),
        (("--tune", "ms-ssim"), "tiny has weights for: psnr"),
        (("--target-bpp", "0,1"), "--target-bpp"),
        (("--target-bpp", "nan"), "--target-bpp"),
        (("--model", "none", "--rivals", "none"), "no rivals either"),
        (("--model", "nosuch"), "tiny"),
        (("--rivals", "jpeg,gif"), "avif-psnr"),
        (("--anchor", "webp"), "allowed is what is measured: jpeg, tiny"),
        (("--anchor", "none"), "--anchor"),
        (("--limit", "0"), "--limit"),
        (("--threads", "0"), "--threads"),
        (("--device", "abacus"), "abacus"),
        (("--time-photo", "nosuch.png"), "nosuch.png"),
    ],
)
def test_bad_options(folder: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    defaults = ["--model", "tiny"] if "--model" not in options else []
    rivals = ["--rivals", "jpeg"] if "--rivals" not in options else []
    found = bench(folder, "--out", tmp_path / "new", *defaults, *rivals, *options)
    assert found.exit_code == 2
    assert message in found.output
    assert not (tmp_path / "new" / "results.json").exists()


@pytest.mark.parametrize(
    ("rival", "package"),
    [
        ("heic", "pillow-heif"),
        ("heic-psnr", "pillow-heif"),
        ("jxl", "pillow-jxl"),
        ("mozjpeg", "pyvips-binary"),
    ],
)
def test_rivals_that_plugins_bring(folder: Path, tmp_path: Path, rival: str, package: str) -> None:
    options = "--model", "none", "--rivals", rival, "--anchor", rival, "--limit", 1
    found = bench(folder, *options, "--out", tmp_path)
    assert found.exit_code == 0, found.output
    assert package in written(tmp_path)["versions"][rival]
    rows = written(tmp_path)["rows"]
    assert len(rows) == len(RIVALS[rival].qualities)
    sizes = [row["file_bytes"] for row in sorted(rows, key=lambda row: row["quality"])]
    assert sizes == sorted(sizes)
    assert rows[-1]["psnr"] > rows[0]["psnr"] > 20


def test_rivals_without_their_plugin(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    found = bench(folder, "--rivals", "jpeg,jxl", "--out", tmp_path / "new")
    assert found.exit_code == 2
    assert "needs the package pillow-jxl-plugin" in found.output


def test_bad_folders(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "found no pictures" in bench(empty, *OPTIONS, tmp_path).output
    picture("RGB", (300, 160)).save(empty / "small.png")
    assert "small.png: found 300 x 160 pixels" in bench(empty, *OPTIONS, tmp_path).output
    (empty / "a.png").write_bytes(b"no picture")
    found = bench(empty, *OPTIONS, tmp_path)
    assert found.exit_code == 1
    assert "a.png" in found.output
    assert bench(tmp_path / "nosuch", *OPTIONS, tmp_path).exit_code == 2
    assert "neither a folder nor --time-photo" in bench(*OPTIONS, tmp_path).output


def test_a_missing_extra(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("pip install pillow-lic[bench]")

    monkeypatch.setattr(metrics, "check_extra", missing)
    found = bench(folder, *OPTIONS, tmp_path)
    assert found.exit_code == 1
    assert "lic: pip install pillow-lic[bench]" in found.output


def test_falling_psnr_is_reported() -> None:
    points = [
        results.Point(q, q / 50, psnr, 0.9, 1, 1) for q, psnr in ((5, 30), (10, 29), (15, 29))
    ]
    (found,) = results.summarise({"a": []}, {"a": points}, ["a"])
    assert found.falls == [(5, 10), (10, 15)]


def test_time_photo(tmp_path: Path) -> None:
    """Needs no folder; each way runs in a process of its own."""
    photo = tmp_path / "a[b].png"
    picture("RGB", SIZES[0]).save(photo)
    found = bench("--time-photo", photo, *OPTIONS, tmp_path, "--threads", 1)
    assert found.exit_code == 0, found.output
    assert "a[b].png, 0.04 megapixels" in found.output
    (row,) = json.loads((tmp_path / "photo.json").read_text(encoding="utf-8"))["rows"]
    assert (row["model"], row["quality"], row["megapixels"]) == ("tiny", 75, 0.0352)
    assert min(row["encode_s"], row["decode_s"]) > 0
    assert min(row["encode_memory"], row["decode_memory"]) > 50 << 20  # torch was there
    assert not (tmp_path / "results.json").exists()


def test_time_photo_fails_in_one_line(folder: Path, tmp_path: Path) -> None:
    photo = folder / "0.png"
    found = bench("--time-photo", photo, "--model", "nosuch", "--out", tmp_path)
    assert found.exit_code == 1
    assert "known are" in found.output
    assert "Traceback" not in found.output


def test_names_are_whole_in_80_columns() -> None:
    names = "minnen2018", "minnen2020 effort 1"
    found = [
        results.Summary(
            name, (0.09, 1.96), {names[0]: -10.4}, {names[0]: -33.6}, {names[0]: 0.12}, [], 1.0
        )
        for name in names
    ]
    console = Console(width=80, file=io.StringIO())
    console.print(tables.summary(found, names[0]))
    assert isinstance(console.file, io.StringIO)
    words = console.file.getvalue().split()
    assert words.count("minnen2018") == 1  # the title's has punctuation behind it
    assert "minnen2020" in words
