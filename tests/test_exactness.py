"""Machines that one can play: what one codes, the others decode, latents and pixels alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import run as command
from samples import photo, picture

import lic_models
from lic_models import exactness
from lic_models.codec import Coded


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures of one name in two folders."""
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        picture("RGB", (64 + 16 * number, 64)).save(tmp_path / folder / "1.png")
    return tmp_path


def run(photos: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    """With the plain machine and the one that is furthest from it."""
    two = [exactness.machines()[0], exactness.Machine("SSE41", "default", 2, False)]
    monkeypatch.setattr(exactness, "machines", lambda: two)
    out = photos / "out.json"
    done = command(photos, "--model", "tiny", "--out", out, code=None, of=exactness.app)
    return done.exit_code, json.loads(out.read_text())


def test_machines_agree(photos: Path, monkeypatch: pytest.MonkeyPatch):
    code, found = run(photos, monkeypatch)
    assert code == 0
    assert (found["images"], found["machines"]) == (2, 2)
    assert 2 <= found["distinct_streams"] <= 4
    assert found["streams_with_different_latents"] == 0
    assert found["largest_pixel_distance"] <= 1


def test_disagreement_is_a_failure(photos: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exactness, "_start", lambda machine, root, **_: root / machine.name)
    monkeypatch.setattr(exactness, "_distinct", lambda *_: [])
    bad = {"images": 2, "streams_with_different_latents": 1, "largest_pixel_distance": 0}
    summary = {**bad, "float_path_destroyed": {}, "float_path_worst_share_wrong": {}}
    monkeypatch.setattr(exactness, "_summary", lambda *_: summary)
    assert run(photos, monkeypatch)[0] == 1


def test_different_latents_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    two = exactness.machines()[:2]
    monkeypatch.setattr(exactness, "machines", lambda: two)
    for number, machine in enumerate(two):
        same = {"path": "same", "sha256": "a", "levels": number}
        other = {"path": "other", "sha256": f"{number}"}
        lost = {"path": "flat", "wrong": number / 2}
        (tmp_path / machine.name).mkdir()
        (tmp_path / machine.name / "decoded.json").write_text(json.dumps([same, other, lost]))
    found = exactness._summary(tmp_path, 2, 2)
    assert found["streams_with_different_latents"] == 1
    assert found["largest_pixel_distance"] == 1
    assert list(found["float_path_destroyed"].values()) == [0, 1]


def test_pixels_are_compared(tmp_path: Path):
    codec = lic_models.load("tiny", "cpu")
    coded = [Coded(codec.encode_tiles(photo(64, 64, s), 6000, 0), 64, 64, 6000, 0) for s in (0, 1)]
    path = tmp_path / "0.bin"
    distances = [exactness._pixel_distance(codec, each, path) for each in (*coded, coded[0])]
    assert distances[0] == distances[2] == 0 < distances[1]


def test_the_float_path_does_not_round():
    layer = lic_models.load("tiny", "cpu").model.h_s.layers[0]
    a = torch.arange(layer.weight.shape[1], dtype=torch.float32)[None, :, None, None] * 16
    with torch.no_grad():
        exact = layer(a, 5000)
        with exactness.float_path():
            rough = layer(a, 5000)
    assert torch.equal(exact, exact.round())
    assert not torch.equal(rough, rough.round())
    assert (rough - exact).abs().max() < 2
