"""The README's example runs as printed, and its commands are those that CI runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from specification import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def test_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    photo = Image.fromarray(small).resize((96, 64), Image.Resampling.BICUBIC)
    monkeypatch.chdir(tmp_path)
    photo.save("photo.png")
    exec(code, {})
    with Image.open("back.png") as back:
        assert back.size == photo.size
        assert np.abs(np.array(back).astype(int) - np.array(photo)).mean() < 25
    assert Path("photo.lic").stat().st_size < Path("photo.png").stat().st_size


@pytest.mark.parametrize(("number", "shape"), [(1, (3, 40, 50)), (2, (1, 3, 40, 50))])
def test_tensor_examples_run(
    number: int, shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import torch

    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[number]
    names = {"x": torch.rand(3, 40, 50)}
    exec(code, names)
    assert names["x_hat"].shape == shape


def test_commands_are_those_of_ci():
    script = (ROOT / ".ci" / "run").read_text()
    for command in ('pip install -c constraints.txt ".[test]"', "&& pytest", "lic demo"):
        assert command in README
        assert command.removeprefix("&& ") in script.replace("pip install --quiet", "pip install")


def test_model_table_is_the_registry():
    import lic_models

    listed = {
        name: int(number) for name, number in re.findall(r"^\| `(\w+)` \| (\d+) \|", README, re.M)
    }
    assert listed == {name: lic_models.model_id(name) for name in lic_models.names()}


def test_every_shipped_model_says_how_it_was_made():
    import lic_models
    from lic_models import weights

    told = (ROOT / "lic_models" / "weights" / "README.md").read_text("utf-8")
    shipped = {name for name in lic_models.names() if weights.installed(name)}
    assert shipped - set(re.findall(r"`(\w+)`", told)) <= {"tiny"}
