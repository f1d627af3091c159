"""A hyperprior from a model without contexts, in one that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from commands import run as command
from PIL import Image
from samples import photo
from torch import Tensor

import lic_models
from lic_models import registry, weights
from lic_models.entropy import UNIT, drive, nearest
from lic_models.gdn import GdnAnalysis
from lic_models.hyper import Hyperprior
from lic_models.levels import LEVEL_MIN, SPACING
from lic_models.train.__main__ import app
from lic_models.train.checkpoints import averaged
from lic_models.train.graft import HYPERPRIOR, LAST, graft
from lic_models.train.linear import linear_start
from lic_models.train.objective import TRANSFORMS

DONOR = "balle2018"


def started(name: str, seed: int) -> Any:
    torch.manual_seed(seed)
    cls = registry.lookup(name)
    model = cls(cls.configs["toy"])
    linear_start(model, pictures(8))
    return model


def pictures(count: int) -> Tensor:
    return torch.stack([photo(128, 128, seed) for seed in range(count)])


def takes(name: str) -> bool:
    cls = registry.lookup(name)
    made = cls(cls.configs["toy"])
    return isinstance(made, Hyperprior) and isinstance(made.g_a, GdnAnalysis) and name != DONOR


RECEIVERS = [name for name in lic_models.names() if takes(name)]


def donor(model: Any) -> dict[str, Tensor]:
    """A model with the same transforms, but y's channels in another order."""
    other = started(DONOR, 1)
    torch.nn.init.normal_(other.h_a[2].weight)  # so that z says something
    shuffled = torch.randperm(model.config.M)
    axes = {
        LAST: 0,
        "g_a.convs.3.bias": 0,
        "gain.log": 1,
        "inverse_gain.log": 1,
        "g_s.convs.0.weight": 0,
    }
    mine = {k: t for k, t in model.state_dict().items() if k.partition(".")[0] in TRANSFORMS}
    mine = {k: t.index_select(axes[k], shuffled) if k in axes else t for k, t in mine.items()}
    other.load_state_dict(mine, strict=False)
    return dict(other.state_dict())


@torch.no_grad()
def coded(model: Any, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """z_hat, and means and scale indices of all steps of y."""
    level = LEVEL_MIN + SPACING * torch.arange(len(images), dtype=torch.float32)
    latents = model.latents(model.analyse(images, level), level)
    found: list[Tensor] = []

    def answer(step: Any) -> Tensor:
        if step.latent == "z":
            return nearest(latents["z"])[0] * UNIT
        found.extend((step.mean, step.index))
        return torch.zeros_like(step.mean)

    shapes = {name: tuple(t.shape[1:]) for name, t in latents.items()}
    z_hat = drive(model, shapes, level, answer)["z"]  # type: ignore[arg-type]
    return z_hat, found


@pytest.mark.parametrize("name", RECEIVERS)
def test_grafted(name: str):
    """z is the donor's, whatever the order of channels, and y as probable as before."""
    model = started(name, 0)
    model.h_s.layers[-1].weight.data.zero_()  # it had nothing to say
    model.h_s.layers[-1].bias.data.uniform_(1, 9)
    for heads in model.parameters_y:  # a linear start predicts the same everywhere
        torch.nn.init.normal_(heads.mean.weight, std=0.2)
        torch.nn.init.normal_(heads.index.weight, std=0.2)
    other = donor(model)
    images = pictures(8)
    _, before = coded(model, images)
    graft(model, other, images)
    z_hat, after = coded(model, images)
    giver = started(DONOR, 2)
    giver.load_state_dict(other)
    assert z_hat.any()
    assert torch.equal(z_hat, coded(giver, images)[0])
    for found, expected in zip(after, before, strict=True):
        assert expected.std() > 5
        assert torch.allclose(found, expected, rtol=0, atol=3)  # sums were rounded elsewhere
    state = model.state_dict()
    same = [k for k in state if k.partition(".")[0] in HYPERPRIOR and k != "h_a.0.weight"]
    assert len(same) > 10
    assert all(torch.equal(state[k], other[k]) for k in same)


def test_refusals():
    model = started("checkerboard", 0)
    other = donor(model)
    images = pictures(2)
    with pytest.raises(ValueError, match="found balle2017, allowed are models with a hyperprior"):
        graft(started("balle2017", 0), other, images)
    with pytest.raises(ValueError, match=r"found other rows in g_a\.convs\.3\.weight"):
        graft(model, {**other, LAST: 2 * other[LAST]}, images)
    lacking = {k: t for k, t in other.items() if not k.startswith("h_s")}
    with pytest.raises(ValueError, match=r"found none of .* for h_s\.layers"):
        graft(model, lacking, images)


def test_fit_grafts(tmp_path: Path):
    """A run starts with it; what only synthesis learns from stays as it is."""
    for seed in range(3):
        pixels = photo(128, 128, seed).mul(255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    path = weights.find(DONOR).path
    common = ("--data", tmp_path, "--patch", 64, "--batch", 1, "--minutes", 0.01)
    given = ("--transforms", path, "--hyperprior", path, "--only", "distortion")
    command("fit", "checkerboard", *common, *given, "--out", tmp_path / "run", of=app)
    found = averaged(tmp_path / "run" / "checkpoint.pt")
    other = averaged(path)
    same = [k for k in found if k.partition(".")[0] in HYPERPRIOR]
    assert all(torch.equal(found[k], other[k]) for k in same)
    assert not found["parameters_y.0.body.layers.0.weight"][:, :192].any()
