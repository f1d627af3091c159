"""What effort serves: squared error, or MS-SSIM, which is measured as elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import TINY, run
from PIL import Image
from pytorch_msssim import ms_ssim as published
from samples import distance, lic, opened, photo, picture, split

import lic_models
from lic_models import registry, weights
from lic_models.distortions import EXCHANGE, TUNES, ms_ssim
from lic_models.errors import WeightsNotFound
from lic_models.levels import lmbda
from lic_models.train.objective import Objective
from pillow_lic.tensors import write

QUALITY = 50


def cost(data: bytes, x_hat: torch.Tensor, x: torch.Tensor) -> float:
    """Bits plus lambda times dissimilarity."""
    pixels = x.shape[1] * x.shape[2]
    error = EXCHANGE * pixels * (1 - float(ms_ssim(x_hat[None], x[None])))
    return 8 * len(data) + float(lmbda(100 * QUALITY)) * 255**2 * error


@pytest.mark.parametrize("size", [(161, 161), (203, 190), (176, 320)])
def test_ms_ssim_is_the_published_one(size: tuple[int, int]):
    torch.manual_seed(1)
    x = torch.rand(2, 3, *size)
    y = (x + 0.1 * torch.randn_like(x)).clamp(0, 1)
    expected = [
        float(published(a[None], b[None], data_range=1.0)) for a, b in zip(x, y, strict=True)
    ]
    assert ms_ssim(x, y).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("side", [11, 21, 80, 160])
def test_small_images_have_fewer_scales(side: int):
    x = photo(side, side)[None]
    noisy = (x + 0.1 * torch.randn_like(x)).clamp(0, 1)
    assert ms_ssim(x, x).item() == pytest.approx(1, abs=1e-5)
    assert 0 < ms_ssim(x, noisy).item() < 0.999


def test_too_small_for_its_window():
    x = torch.zeros(1, 3, 10, 300)
    with pytest.raises(ValueError, match=r"MS-SSIM: found sides .*10, 300.* allowed are 11"):
        ms_ssim(x, x)


@pytest.mark.parametrize(("size", "tile"), [((192, 192), 0), ((100, 70), 0), ((100, 100), 64)])
def test_tuned_files_cost_less_by_what_they_are_tuned_for(size: tuple[int, int], tile: int):
    codec = lic_models.load("tiny", device="cpu")
    x = photo(*size)
    costs = {}
    for tune, effort in (("psnr", 0), ("psnr", 4), ("ms-ssim", 4)):
        data = codec.encode(x, QUALITY, tile, effort=effort, tune=tune)
        costs[tune, effort] = cost(data, codec.decode(data)[0], x)
    assert costs["ms-ssim", 4] < costs["psnr", 0]
    assert costs["ms-ssim", 4] < costs["psnr", 4]


@pytest.mark.parametrize("size", [(1, 1), (9, 300)])
def test_images_too_small_for_similarity_have_squared_error(size: tuple[int, int]):
    image = Image.fromarray((photo(*size) * 255).byte().permute(1, 2, 0).numpy())
    found = opened(lic(image, tune="ms-ssim", effort=3))
    found.load()
    assert found.size == image.size
    x, y = photo(*size)[None], photo(*size)[None].flip(3) / 2
    similar, squared = (TUNES[name].distortion(x, y) for name in ("ms-ssim", "psnr"))
    assert similar == squared > 0


def test_save_write_and_command_line(tmp_path: Path, png: Path):
    source = Image.open(png)
    tuned = lic(source, tune="ms-ssim")
    assert tuned == lic(source, tune="ms-ssim", effort=1)
    assert tuned != lic(source, effort=1)
    assert lic(source) == lic(source, tune="psnr") == lic(source, tune=None)
    assert lic(source, effort=1) == lic(source, tune="psnr", effort=1)
    out = tmp_path / "x.lic"
    run("encode", png, "-o", out, *TINY, "--tune", "ms-ssim")
    assert out.read_bytes() == tuned
    run("transcode", out, "-o", tmp_path / "y.lic", "--tune", "ms-ssim")
    pixels = torch.from_numpy(np.array(source.convert("RGB"))).permute(2, 0, 1)
    write(out, pixels, model="tiny", tune="ms-ssim")
    assert opened(out.read_bytes()).tobytes() == opened(tuned).tobytes()


@pytest.mark.parametrize("tune", ["ssim", "", 3, True, ["psnr"]])
def test_bad_tune(tune: object):
    with pytest.raises(ValueError, match=r"tune: found .* allowed are 'psnr' and 'ms-ssim'"):
        lic(tune=tune)


def test_similarity_takes_effort(tmp_path: Path, png: Path):
    among = "effort: found 0 with tune 'ms-ssim' and weights for 'psnr', allowed is 1 to 9"
    with pytest.raises(ValueError, match=among):
        lic(tune="ms-ssim", effort=0)
    options = "-o", tmp_path / "x.lic", *TINY, "--tune"
    assert "found 'best'" in run("encode", png, *options, "best", code=2).output
    run("encode", png, *options, "ms-ssim", "--effort", 0, code=1)
    assert not (tmp_path / "x.lic").exists()
    codec = lic_models.load("tiny", device="cpu")
    with pytest.raises(ValueError, match="tune: found 'best', allowed are 'psnr' and"):
        codec.encode(photo(64, 64), tune="best")
    with pytest.raises(ValueError, match="tune: found 'best', allowed are 'psnr' and"):
        lic_models.load("tiny", device="cpu", tune="best")
    with pytest.raises(ValueError, match=among):
        codec.encode(photo(64, 64), effort=0, tune="ms-ssim")


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> weights.Found:
    """Weights of `tiny` for MS-SSIM, newer than all others."""
    cls = registry.lookup("tiny")
    model = cls(cls.configure())
    model.load_state_dict(weights.thaw(weights.find("tiny").path))
    with torch.no_grad():
        model.gain.log += 0.1
    monkeypatch.setenv("LIC_WEIGHTS_PATH", str(tmp_path))
    return weights.export(model, tmp_path, generation=99, notes={}, tune="ms-ssim")


def used(data: bytes) -> bytes:
    """The fingerprint in a file's header."""
    return split(data)[0][12:20]


def test_weights_of_a_tune(tuned: weights.Found):
    """They are taken when asked for, take no effort, and decode like any others."""
    assert tuned.path.name.startswith("tiny.ms-ssim-99-")
    data = lic(tune="ms-ssim")
    assert used(data) == tuned.fingerprint != used(lic())
    assert data == lic(tune="ms-ssim", effort=0) != lic(tune="ms-ssim", effort=1)
    x = opened(data)
    x.load()
    assert distance(x, picture()) < 20
    assert lic_models.tuned("tiny") == ["psnr", "ms-ssim"]
    rows = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    assert [row["tune"] for row in rows["tiny"]["weights"]] == ["ms-ssim", "psnr"]


def test_transcoding_keeps_what_weights_serve(tuned: weights.Found, tmp_path: Path):
    (tmp_path / "x.lic").write_bytes(lic(tune="ms-ssim"))
    for model in ((), ("--model", "tiny")):
        common = ("-o", tmp_path / "y.lic", "--overwrite", "--quality", 50)
        run("transcode", tmp_path / "x.lic", *common, *model)
        assert used((tmp_path / "y.lic").read_bytes()) == tuned.fingerprint
    run("transcode", tmp_path / "x.lic", "-o", tmp_path / "z.lic", "--tune", "psnr")
    assert used((tmp_path / "z.lic").read_bytes()) == used(lic())


def test_codec_of_a_tune(tuned: weights.Found):
    """What it serves is what its weights are for; anything else takes effort."""
    codec = lic_models.load("tiny", device="cpu", tune="ms-ssim")
    assert (codec.tune, codec.fingerprint) == ("ms-ssim", tuned.fingerprint)
    x = photo(64, 64)
    assert codec.encode(x) == codec.encode(x, tune="ms-ssim", effort=0)
    assert codec.encode(x, tune="psnr") == codec.encode(x, tune="psnr", effort=1)
    with pytest.raises(ValueError, match="found 0 with tune 'psnr' and weights for 'ms-ssim'"):
        codec.encode(x, tune="psnr", effort=0)


def test_weights_that_are_missing(tuned: weights.Found, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights, "folders", lambda: [tuned.path.parent])
    assert weights.find("tiny", tuned.fingerprint) == weights.find("tiny", tune="ms-ssim") == tuned
    with pytest.raises(WeightsNotFound, match="tiny"):
        weights.find("tiny")


def test_bench_without_effort(tuned: weights.Found, tmp_path: Path):
    picture(size=(176, 161)).save(tmp_path / "one.png")
    options = "--model", "tiny", "--rivals", "none", "--quality", "20,80", "--anchor", "tiny"
    run("bench", tmp_path, *options, "--tune", "psnr,ms-ssim", "--out", tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    assert list(found["curves"]) == ["tiny", "tiny ms-ssim"]


def test_training_for_a_tune():
    """The loss is of what `TUNES` says."""
    cls = registry.lookup("tiny")
    x, level = photo(192, 192)[None], torch.tensor([5000.0])
    out = Objective(cls(cls.configure()), tune="ms-ssim").eval()(x, level, noise=False)
    expected = EXCHANGE * (1 - ms_ssim(out["x_hat"], x))
    assert torch.allclose(out["distortion"], expected)
