"""Effort: refined latents cost less by the true objective, and are latents like any others."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from commands import TINY, run
from PIL import Image
from samples import lic, photo

import lic_models
from lic_models import device, refine
from lic_models.integer import IntConv2d
from lic_models.levels import lmbda

QUALITY = 50


def cost(data: bytes, x_hat: torch.Tensor, x: torch.Tensor) -> float:
    """Bits plus lambda times squared error, as training counts."""
    error = float((x_hat - x).square().sum()) * 255**2 / 3
    return 8 * len(data) + float(lmbda(100 * QUALITY)) * error


@pytest.fixture(scope="module")
def codec() -> lic_models.Codec:
    return lic_models.load("tiny", device="cpu")


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("size", [(128, 128), (100, 70)])
def test_more_effort_costs_less(
    codec: lic_models.Codec, size: tuple[int, int], short: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(device, "_short", lambda: short)
    x = photo(*size)
    costs = []
    for effort in (0, 1, 3, 6):
        data = codec.encode(x, QUALITY, effort=effort)
        costs.append(cost(data, codec.decode(data)[0], x))
    assert costs[3] < costs[2] < costs[1] < 0.995 * costs[0]
    assert costs[3] < 0.98 * costs[0]


def test_steps_are_as_long_as_their_channel_asks():
    """Whatever a channel's gradients are in, their pattern decides; none is no step."""
    random = torch.Generator().manual_seed(0)
    gradient = (
        torch.randn(1, 1, 4, 4, generator=random)
        * torch.tensor([1e-3, 0.0, 1e4])[None, :, None, None]
    )
    latent = torch.zeros(1, 3, 4, 4)
    refine._move(latent, gradient, 0.5)
    assert torch.allclose(latent[:, 0], latent[:, 2])
    assert torch.isclose(latent[:, 0].square().mean().sqrt(), torch.tensor(0.5))
    assert (latent * gradient <= 0).all()
    assert not latent[:, 1].any()


def test_steps_of_efforts():
    """Every effort takes more steps than the one before it, and help says how many at most."""
    assert list(refine.STEPS) == sorted(set(refine.STEPS))
    shown = " ".join(run("encode", "--help").output.replace("│", " ").split())
    assert f"0-{refine.EFFORT_MAX}" in shown
    assert f"{refine.STEPS[1]} (at 1) to {refine.STEPS[-1]} (at {refine.EFFORT_MAX})" in shown


def test_same_picture_same_bytes(codec: lic_models.Codec):
    x = photo(64, 64)
    before = torch.random.get_rng_state()
    with torch.inference_mode():
        first = codec.encode(x, QUALITY, effort=2)
    assert first == codec.encode(x, QUALITY, effort=2)
    assert torch.equal(torch.random.get_rng_state(), before)  # the caller's chance is his own


def test_tiles_are_refined_in_place(codec: lic_models.Codec):
    x = photo(128, 192)
    plain, better = (codec.encode(x, QUALITY, tile=64, effort=e) for e in (0, 3))
    shown = [codec.decode(data)[0] for data in (plain, better)]
    assert cost(better, shown[1], x) < cost(plain, shown[0], x)
    # no tile pays for the others, and none is taken for its neighbour
    for top in range(0, 128, 64):
        for left in range(0, 192, 64):
            cut = slice(None), slice(top, top + 64), slice(left, left + 64)
            errors = [float((each[cut] - x[cut]).square().mean()) for each in shown]
            assert errors[1] < 1.5 * errors[0]


def test_blocks_lose_nothing(codec: lic_models.Codec, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "_short", lambda: False)  # whose roundings would differ
    x = photo(128, 192)
    plain, whole = (codec.encode(x, QUALITY, effort=e) for e in (0, 3))
    monkeypatch.setattr(refine, "BLOCK", 4)
    blocks = codec.encode(x, QUALITY, effort=3)
    costs = [cost(data, codec.decode(data)[0], x) for data in (plain, whole, blocks)]
    assert costs[0] - costs[2] > 0.99 * (costs[0] - costs[1])  # half of it if blocks saw no others


def test_padding_is_nobodys_loss(codec: lic_models.Codec):
    x = photo(65, 65)
    plain, better = (codec.encode(x, QUALITY, effort=e) for e in (0, 3))
    assert len(better) < len(plain)


def test_gradients_pass_frozen_layers():
    layer = IntConv2d(2, 3)
    layer.freeze(
        torch.full((3, 2, 1, 1), 5, dtype=torch.int16),
        torch.zeros(10, 3, dtype=torch.int32),
        torch.full((3,), 2, dtype=torch.uint8),
    )
    a = torch.tensor([4.0, 7.0]).view(1, 2, 1, 1).requires_grad_()
    out = layer(a, 100)
    assert torch.equal(out, layer(a.detach(), 100))
    out.sum().backward()
    assert torch.allclose(a.grad, torch.full((1, 2, 1, 1), 3 * 5 / 4))


def test_save_and_command_line(tmp_path: Path, png: Path):
    source = Image.open(png)
    plain, better = (lic(source, effort=effort) for effort in (0, 1))
    assert plain == lic(source)
    assert plain != better
    out = tmp_path / "x.lic"
    run("encode", png, "-o", out, *TINY, "--effort", 1)
    assert out.read_bytes() == better
    run("transcode", out, "-o", tmp_path / "y.lic", "--effort", 1)
    assert "found 10," in run("encode", png, *TINY, "--effort", 10, code=2).output


@pytest.mark.parametrize("effort", [-1, 10, 2.5, "high", True, math.nan])
def test_bad_effort(effort: object):
    with pytest.raises(ValueError, match=r"effort: found .* from 0 to 9"):
        lic(Image.new("RGB", (8, 8)), effort=effort)


def test_draws_that_lose_are_left(codec: lic_models.Codec, monkeypatch: pytest.MonkeyPatch):
    """What comes of the first steps stays if those after them find nothing better."""
    x = photo(64, 64)
    monkeypatch.setattr(refine, "TRAVEL_DRAWN", 50.0)
    assert codec.encode(x, QUALITY, effort=4) == codec.encode(x, QUALITY, effort=3)


def test_steps_are_longer_where_weights_serve_something_else(
    codec: lic_models.Codec, monkeypatch: pytest.MonkeyPatch
):
    lengths: dict[str, float] = {}

    def move(latent: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        lengths[tune] = lengths.get(tune, 0) + rate

    monkeypatch.setattr(refine, "_move", move)
    for tune in ("psnr", "ms-ssim"):
        codec.encode(photo(64, 64), QUALITY, effort=2, tune=tune)
    assert lengths["ms-ssim"] == pytest.approx(1.5 * lengths["psnr"])
