"""Machines that one can play: what one codes, the others decode, latents and pixels alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import run as command
from samples import picture

from lic_models import exactness


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
