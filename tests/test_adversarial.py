"""Training against a discriminator."""

from __future__ import annotations

from pathlib import Path

import torch

from lic_models import registry
from lic_models.train.adversarial import AdversarialObjective, texture_distance
from lic_models.train.loop import Settings, _Run


def test_textures_are_told_apart():
    """Other grain of the same strength is close; blur, which PSNR prefers, is far."""
    torch.manual_seed(0)
    grain = torch.rand(2, 3, 128, 128)
    other = torch.rand(2, 3, 128, 128)
    blurred = torch.nn.functional.avg_pool2d(grain, 3, 1, 1)
    assert not texture_distance(grain, grain).any()
    assert (blurred - grain).square().mean() < (other - grain).square().mean()
    assert (texture_distance(other, grain) < 0.3 * texture_distance(blurred, grain)).all()


def test_coloured_grain_is_not_taken_for_grey():
    """Grain of the same luma energy is right only if it has the original's colour, or none."""
    torch.manual_seed(0)
    grey, other = (torch.rand(2, 1, 128, 128).expand(-1, 3, -1, -1) for _ in range(2))
    coloured = 0.5 + (torch.rand(2, 3, 128, 128) - 0.5) / 0.669  # sum of squared luma weights
    assert texture_distance(other, grey).max() < 0.2
    assert (texture_distance(coloured, grey) > 3 * texture_distance(other, grey)).all()


def test_both_sides_learn():
    torch.manual_seed(0)
    cls = registry.lookup("hific")
    objective = AdversarialObjective(cls(cls.configs["toy"]))
    x = torch.rand(2, 3, 64, 64)
    out = objective(x, torch.tensor([2000.0, 9000.0]))
    out["loss"].backward()
    judge = list(objective.discriminator.parameters())
    assert all(p.grad is None for p in judge)
    assert all(p.grad is not None for p in objective.model.g_s.parameters())
    for parameter in objective.model.parameters():
        parameter.grad = None
    before = objective.judge(x, out)
    before.backward()
    assert all(p.grad is not None for p in judge)
    assert all(p.grad is None for p in objective.model.parameters())
    optimizer = torch.optim.SGD(judge, 0.5)
    optimizer.step()
    assert objective.judge(x, out) < before


def test_critic_is_resumed(tmp_path: Path):
    """A checkpoint holds the discriminator and its optimiser."""
    torch.manual_seed(0)
    cls = registry.lookup("hific")
    settings = Settings(minutes=1)
    run = _Run(AdversarialObjective(cls(cls.configs["toy"])), settings)
    drawn = torch.rand(2, 3, 64, 64), torch.tensor([2000.0, 9000.0])
    for _ in range(2):
        run.learn(run.objective, drawn, lambda: drawn)
    run.save(tmp_path / "checkpoint.pt")
    again = _Run(AdversarialObjective(cls(cls.configs["toy"])), settings)
    again.load(tmp_path / "checkpoint.pt")
    assert run.critic is not None
    assert again.critic is not None
    before, after = (r.critic.state_dict() for r in (run, again))
    assert all(torch.equal(before["weights"][k], v) for k, v in after["weights"].items())
    assert before["optimizer"]["state"].keys() == after["optimizer"]["state"].keys() != set()
