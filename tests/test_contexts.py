"""Coding orders: what is decoded in parts is what training sees at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from samples import photo

import lic_models
from lic_models import entropy, registry, weights
from lic_models import wavefronts as wavefronts_module
from lic_models.base import Model, Step
from lic_models.codec import Codec
from lic_models.entropy import drive, estimate, nearest, noisy
from lic_models.positions import (
    KERNEL,
    Neighbourhood,
    causal_offsets,
    checkerboard,
    put,
    take,
    wavefronts,
)
from lic_models.train.linear import linear_start

LEVEL = torch.tensor([3000.0, 8000.0])
SEQUENTIAL = [name for name in registry.names() if registry.lookup(name).sequential]


def _random(name: str) -> Model:
    """A toy model whose layers of the entropy path are not zero."""
    torch.manual_seed(0)
    cls = registry.lookup(name)
    model = cls(cls.configs["toy"])
    for layer in model.integer_layers().values():
        torch.nn.init.uniform_(layer.bias, -1.0, 3.0)
        if not layer.weight.any():
            torch.nn.init.normal_(layer.weight, std=0.2)
    return model


def test_positions_serve_training_too():
    """What is kept of a size is as good for gradients when a decoder was the first to ask."""
    with torch.inference_mode():
        first = checkerboard(5, 7, "cpu")
    again = checkerboard(5, 7, "cpu")
    assert all(a is b for a, b in zip(first, again, strict=True))
    assert torch.cat(again).sort().values.tolist() == list(range(35))
    a = torch.rand(1, 2, 5, 7, requires_grad=True)
    take(a * 2, again[0]).sum().backward()
    assert a.grad is not None
    assert float(a.grad.sum()) == 2 * 2 * 18


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (7, 1), (5, 8)])
def test_wavefronts_follow_the_raster_order(height: int, width: int):
    """Each position once, after all its causal neighbours, in W + 3 (H - 1) waves."""
    waves = wavefronts(height, width, KERNEL, "cpu")
    assert sorted(torch.cat(waves).tolist()) == list(range(height * width))
    assert len(waves) == width + 3 * (height - 1)
    when = {p: n for n, wave in enumerate(waves) for p in wave.tolist()}
    for position, wave in when.items():
        i, j = divmod(position, width)
        for di, dj in causal_offsets(KERNEL):
            if 0 <= i + di < height and 0 <= j + dj < width:
                assert when[(i + di) * width + j + dj] < wave


def test_neighbourhood_is_a_padded_window():
    a = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    around = Neighbourhood(a.shape, causal_offsets(5), a.device)
    everywhere = torch.arange(20)
    around.put(everywhere, a.flatten(2).unsqueeze(2))
    found = around.around(everywhere)
    windows = torch.nn.functional.unfold(a, 5, padding=2).view(2, 3, 25, 20)[:, :, :12]
    assert torch.equal(found, windows.transpose(1, 2).reshape(2, 36, 1, 20))


def test_waves_compute_what_one_masked_convolution_does():
    """Means and indices of the wavefronts equal those of all positions at once."""
    model = _random("minnen2018")
    shapes = model.shapes(64, 192)
    y = torch.randn(2, *shapes["y"]) * 5
    latents = {"z": torch.randn(2, *shapes["z"]) * 2, "y": y}
    found: list[Step] = []

    def answer(step: Step) -> torch.Tensor:
        found.append(step)
        if step.latent == "z":
            return (latents["z"] * 16).round()
        value = y.flatten(2)[:, :, step.positions].unsqueeze(2) * 16
        return ((value - step.mean) / 16).round() * 16 + step.mean

    with torch.no_grad():
        sent = drive(model, shapes, LEVEL, answer)
        count = len(found)
        drive(model, shapes, LEVEL, answer, known=sent["y"])
    assert count == 1 + 12 + 3 * 3
    assert len(found) == count + 2
    once = found[-1]
    assert once.index.float().std() > 0
    for name in ("mean", "index"):
        whole = torch.zeros(y.shape)
        for step in found[1:count]:
            whole = put(whole, step.positions, getattr(step, name))
        assert torch.equal(whole.flatten(2), getattr(once, name).squeeze(2))


def test_training_of_waves_is_one_step():
    """Its bits are close to those of the true order; noise apart, the contexts are nearly its."""
    torch.manual_seed(0)
    cls = registry.lookup("minnen2018")
    model = cls(cls.configs["toy"])
    torch.nn.init.constant_(model.parameters_y[0].index.bias, 5.0)
    latents = {"z": torch.randn(2, 4, 1, 1), "y": torch.randn(2, 16, 4, 4) * 3}
    with torch.no_grad():
        _, training = estimate(model, latents, LEVEL, noisy)
        _, true = estimate(model, latents, LEVEL, nearest)
    assert torch.allclose(training, true, rtol=0.05)


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_training_foresees_what_is_decoded(name: str, monkeypatch: pytest.MonkeyPatch):
    """Each pass makes more of it exact, all of it after as many as there are waves."""
    model = _random(name)
    shapes = model.shapes(128, 192)
    latents = {n: torch.randn(2, *shape) * 0.7 for n, shape in shapes.items()}
    wrong = []
    with torch.no_grad():
        decoded, _ = estimate(model, latents, LEVEL, nearest)
        for passes in (0, 2, 12 + 3 * 7):
            monkeypatch.setattr(entropy, "PASSES", passes)
            found, _ = estimate(model, latents, LEVEL, lambda value: nearest(value))
            wrong.append(float((found["y"] != decoded["y"]).float().mean()))
    assert wrong[0] > wrong[1] > wrong[2] == 0


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_waves_and_raster_order_decode_the_same(name: str, monkeypatch: pytest.MonkeyPatch):
    """The measurement of what wavefronts save compares like with like."""
    used: list[str] = []
    for order in ("_single", "_published"):
        real = getattr(wavefronts_module, order)

        def noted(*arguments: object, order: str = order, real: Callable[..., object] = real):
            used.append(order)
            return real(*arguments)

        monkeypatch.setattr(wavefronts_module, order, noted)
    cls = registry.lookup(name)
    torch.manual_seed(0)
    model = cls(cls.configs["toy"])
    linear_start(model, torch.stack([photo(128, 128, seed) for seed in range(4)]))
    weights.fill(model, weights.canonical(model))
    codec = Codec(model, bytes(8), torch.device("cpu"))
    found = wavefronts_module.measure(codec, photo(100, 130), 6000)
    assert found.equal
    assert found.payload_bytes > 100
    assert (found.waves, found.positions) == (12 + 3 * 7, 12 * 8)
    assert set(used) == {"_single", "_published"}


def test_a_model_without_waves_is_refused():
    with pytest.raises(ValueError, match="tiny"):
        wavefronts_module.measure(lic_models.load("tiny", "cpu"), photo(64, 64), 5000)
