"""Dead units: found, and given new life without a change of what the model computes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import run as command
from PIL import Image
from samples import photo

import lic_models
from lic_models import registry
from lic_models.entropy import UNIT, estimate, nearest
from lic_models.hyper import Hyperprior
from lic_models.layers import ResidualBottleneck
from lic_models.levels import LEVEL_MAX, LEVEL_MIN
from lic_models.train.__main__ import app
from lic_models.train.linear import linear_start
from lic_models.train.revive import revive, share_alive


def started(name: str) -> Any:
    torch.manual_seed(0)
    cls = registry.lookup(name)
    model = cls(cls.configs["toy"])
    linear_start(model, torch.stack([photo(128, 128, seed) for seed in range(8)]))
    return model


@torch.no_grad()
def kill(model: Any) -> None:
    """Leave all but a few units of every layer before a ReLU below 0."""
    for module in model.modules():
        if isinstance(module, ResidualBottleneck):
            module.first.bias[1:] = -1e4
            module.middle.bias[2:] = -1e4
    if isinstance(model, Hyperprior):
        model.h_a[0].bias[3:] = -1e4
        model.h_a[1].bias[:] = -1e4
        stacks = [model.h_s, *getattr(model, "channel", ())]
        stacks += [each.body for each in model.parameters_y if hasattr(each, "body")]
        for layer in (layer for stack in stacks for layer in stack.layers):
            layer.bias[:, 4:] = -1e3


@torch.no_grad()
def results(model: Any, images: torch.Tensor) -> dict[str, torch.Tensor]:
    level = torch.linspace(LEVEL_MIN, LEVEL_MAX, len(images))
    latents = model.latents(model.analyse(images, level), level)
    decoded, bits = estimate(model, latents, level, nearest)
    return {**latents, **decoded, "x_hat": model.synthesise(decoded["y"] / UNIT, level), "R": bits}


@pytest.mark.parametrize("name", lic_models.names())
def test_revival_changes_no_result(name: str):
    """What is dead fires again, and nothing takes it yet."""
    model = started(name)
    kill(model)
    images = torch.stack([photo(128, 128, seed) for seed in range(10)])
    before, dead = results(model, images), share_alive(model, images.split(1))
    revive(model, images)
    after, alive = results(model, images), share_alive(model, images.split(1))
    for key, found in after.items():
        assert torch.allclose(found, before[key], atol=1e-4), key
    if isinstance(model, Hyperprior):
        assert dead < 0.6
        assert alive > 0.9
    else:
        assert dead == alive == 1


@pytest.mark.parametrize("revived", [False, True])
def test_only_revived_units_learn(revived: bool):
    """What takes them learns first, and they themselves after a step or two."""
    model = started("tiny")
    kill(model)
    images = torch.stack([photo(128, 128, seed) for seed in range(10)])
    if revived:
        revive(model, images)
    level = torch.full((10,), 5000.0)
    heads = model.parameters_y[1]
    unit = heads.body.layers[0].weight
    for _ in range(4):
        model.zero_grad()
        latents = model.latents(model.analyse(images, level), level)
        torch.autograd.backward(estimate(model, latents, level, nearest)[1].sum())
        with torch.no_grad():
            for parameter in heads.parameters():
                parameter -= 1e-3 * parameter.grad.sign()
    assert bool(unit.grad[4:].any()) == revived


def test_fit_revives(tmp_path: Path):
    """What a run starts from may be dead, and its log says how much is alive."""
    for seed in range(3):
        pixels = photo(128, 128, seed).mul(255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    model = started("tiny")
    kill(model)
    torch.save({"average": model.state_dict()}, tmp_path / "start.pt")
    common = ("fit", "tiny", "--data", tmp_path, "--patch", 64, "--batch", 2, "--minutes", 0.02)
    alive = []
    for name, options in (("a", ()), ("b", ("--revive",))):
        out = tmp_path / name
        command(*common, "--start", tmp_path / "start.pt", "--out", out, *options, of=app)
        *_, row = csv.DictReader((out / "log.csv").read_text().splitlines())
        alive.append(float(row["alive"]))
    assert alive[0] < 0.6
    assert alive[1] > alive[0] + 0.2
