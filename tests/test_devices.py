"""Other devices decode what this processor codes, and the other way round, integer by integer."""

from __future__ import annotations

import pytest
import torch
from samples import photo

import lic_models
from lic_models.codec import Coded
from lic_models.device import choose

X = photo(100, 130)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", lic_models.installed())
@pytest.mark.parametrize("here", ["cpu", "cuda"])
def test_latents_are_the_same_everywhere(name: str, here: str):
    there = "cuda" if here == "cpu" else "cpu"
    coded = Coded(lic_models.load(name, here).encode_tiles(X, 6000, 0), 130, 100, 6000, 0)
    found = []
    for device in (here, there):
        codec = lic_models.load(name, device)
        (latents,) = codec.decode_latents(coded)
        assert latents is not None
        pixels = codec.decode_tiles(coded)
        found.append(({k: v.cpu() for k, v in latents.items()}, pixels.astype(int)))
    (one, seen), (other, again) = found
    for latent in one:
        assert torch.equal(one[latent], other[latent]), latent
    assert abs(seen - again).max() <= 1


def test_a_device_is_one_device(monkeypatch: pytest.MonkeyPatch):
    """Which GPU is current may change until it is used."""
    assert choose("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: torch.tensor(0.0))
    assert choose("auto") == choose("cuda") == torch.device("cuda", 1)
    assert choose("cuda:0") == torch.device("cuda", 0)


def test_devices_without_doubles_are_refused(monkeypatch: pytest.MonkeyPatch):
    """Integers may need them, and half of a decoder is none."""

    def refuse(*_: object, dtype: torch.dtype, **__: object) -> None:
        if dtype == torch.float64:
            raise TypeError("this device has no float64")

    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.raises(ValueError, match="device: found 'cpu'"):
        choose("cpu")


@pytest.mark.parametrize("name", ["meta", "nonsense", "cuda:99"])
def test_devices_that_hold_no_numbers_are_refused(name: str):
    with pytest.raises(ValueError, match=f"device: found '{name}'"):
        choose(name)
