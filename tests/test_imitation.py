"""Training transforms to do what those of another model do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from commands import run
from PIL import Image

from lic_models import registry, weights
from lic_models.models.cheng2020 import Cheng2020
from lic_models.train.__main__ import app
from lic_models.train.imitation import ImitationObjective, inherited

LEVEL = torch.tensor([1000.0, 9000.0])


def stirred(name: str) -> Any:
    """A toy model with no zeros in it."""
    torch.manual_seed(0)
    cls = registry.lookup(name)
    model = cls(cls.configs["toy"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def errors(student: Any, teacher: Any) -> torch.Tensor:
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    found: torch.Tensor = ImitationObjective(student, teacher, precise=True)(x, LEVEL)["distortion"]
    return found


def test_no_difference_is_no_error():
    assert not errors(stirred("cheng2020"), stirred("cheng2020")).any()


def test_all_that_learns_has_gradients():
    """Data parallelism waits for every one of them."""
    student = stirred("cheng2020")
    x = torch.rand(2, 3, 64, 64)
    objective = ImitationObjective(student, stirred("cheng2020"), precise=True)
    objective(x, LEVEL)["loss"].backward()
    learning = {n: p.grad for n, p in student.named_parameters() if p.requires_grad}
    assert [name for name, gradient in learning.items() if gradient is None] == []
    assert "gain.log" not in learning


@pytest.mark.parametrize("transform", ["g_a", "g_s"])
@pytest.mark.parametrize("at", range(4))
def test_a_stage_answers_for_itself_alone(transform: str, at: int):
    """Whatever one of them gets wrong, the next ones go on from what the teacher has."""
    student = stirred("cheng2020")
    network = getattr(student, transform)
    plain, sizes = network.stage, []

    def wrong(i: int, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = plain(i, x, level)
        sizes.extend([out[0].numel()] * (i == at))
        return out + 0.5 * (i == at)

    network.stage = wrong
    found = errors(student, stirred("cheng2020"))
    assert torch.allclose(found, torch.full((2,), 0.25 * sizes[0] / (3 * 64 * 64)))


def test_deconvolutions_become_sub_pixel():
    teacher, student = stirred("elic"), stirred("cheng2020")
    same = inherited(student, teacher)
    student.load_state_dict(same, strict=False)
    for conv, deconv in zip(student.g_s.convs, teacher.g_s.convs, strict=True):
        x = torch.rand(2, deconv.in_channels, 6, 7)
        assert torch.allclose(F.pixel_shuffle(conv(x), 2), deconv(x), atol=1e-5)
    assert {"g_a.convs.1.weight", "gain.log", "g_a.attentions.3.mask.weight"} <= set(same)


def test_only_models_with_stages_of_the_same_widths():
    with pytest.raises(ValueError, match="'elic'"):
        ImitationObjective(stirred("elic"), stirred("elic"))
    wider = registry.lookup("cheng2020")
    other = wider(wider.configure(widths=(12, 12, 20), M=16, Z=4, hyper=8, features=12))
    with pytest.raises(ValueError, match="20"):
        ImitationObjective(other, stirred("elic"))


def test_fit_with_a_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The chain begins as the teacher's."""
    monkeypatch.setitem(Cheng2020.configs, "shipped", Cheng2020.configs["toy"])
    random = np.random.default_rng(0)
    for i in range(3):
        small = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(small).resize((200, 150)).save(tmp_path / f"{i}.png")
    arguments = ["fit", "cheng2020", "--teacher", "tiny", "--data", tmp_path, "--out", tmp_path]
    arguments += ["--minutes", "0.01", "--patch", "64", "--batch", "2", "--rate", "0"]
    run(*arguments, of=app)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["average"]
    model = Cheng2020(Cheng2020.configs["toy"])
    model.load_state_dict(state)
    teacher = registry.lookup("tiny")(registry.lookup("tiny").configure())
    teacher.load_state_dict(weights.thaw(weights.find("tiny").path))
    wanted = inherited(model, teacher)["g_a.convs.2.weight"]
    assert torch.equal(state["g_a.convs.2.weight"], wanted)


@pytest.mark.parametrize("other", [("--start", "x"), ("--only", "rate"), ("--adversarial",)])
def test_one_aim_at_a_time(tmp_path: Path, other: tuple[str, ...]):
    arguments = ["fit", "cheng2020", "--teacher", "tiny", *other, "--data", tmp_path]
    arguments += ["--out", tmp_path, "--minutes", "1"]
    assert "several" in run(*arguments, code=2, of=app).output
